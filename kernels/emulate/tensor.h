// The work of the warp collectives, done once for all lanes by the last to arrive: arguments[l] is what lane l gave. Layouts: core/ptx.cuh.
#pragma once
#include "runtime.h"

namespace emulate {

// sync_warp: what lanes wrote is seen by the others afterwards.
void sync_warp_work(void* const* arguments);

struct Shuffle { uint64_t value; int source_lane; uint64_t result = 0; };
void shuffle_work(void* const* arguments);
void ballot_work(void* const* arguments);

struct LoadMatrix { uint32_t* r; const void* row; };
void load_matrix_work(void* const* arguments);
void load_matrix_transposed_work(void* const* arguments);

struct Mma { void* d; const uint32_t* a; uint32_t b[2]; };
void mma_f16_work(void* const* arguments);
void mma_bf16_work(void* const* arguments);
void mma_s8_work(void* const* arguments);

uint32_t atomic_add(uint32_t* address, uint32_t value, Site site);
uint64_t atomic_max(uint64_t* address, uint64_t value, Site site);

}  // namespace emulate
