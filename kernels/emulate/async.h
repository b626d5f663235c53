// Hopper's asynchronous machinery: transaction barriers, the copy engine, matrix products of four warps out of shared memory. hopper.h wraps it for kernels.
#pragma once
#include "runtime.h"

namespace emulate {

constexpr int kGroupSize = 128;

void barrier_init(uint64_t* barrier, int arrivals, Site site);
// Arrives, after letting the phase wait for `bytes` more.
void barrier_arrive(uint64_t* barrier, int bytes, const char* operation, Site site);
void barrier_wait(uint64_t* barrier, int parity, Site site);
// The destination is NaN from now until the barrier's phase ends.
void copy_box(void* shared, const void* map, int column, int row, uint64_t* barrier, Site site);

// Waits for the four warps of the group; the last thread to come calls work with what each gave.
void group_collective(const char* operation, Site site, void* argument, void (*work)(void* const* arguments));

struct GroupMma {
    float* d;  // n / 2 of each thread
    int n;
    uint64_t a, b;  // descriptors
    bool across_a, across_b, is_f16;
    Site site;
};
// The sums are NaN until a wait for their group of products, and the operands must still be the same then.
void group_mma_work(void* const* arguments);
void group_fence_work(void* const* arguments);
void group_commit_work(void* const* arguments);
void group_wait_work(void* const* arguments);

}  // namespace emulate
