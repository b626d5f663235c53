// The second definition of every function of hopper/ptx.cuh, for the emulator. Included by hopper/ptx.cuh alone.
#pragma once
#include "async.h"

#define GRID_CONSTANT

DEVICE void barrier_init(uint64_t* barrier, int arrivals, emulate::Site site = emulate::Site::current()) { emulate::barrier_init(barrier, arrivals, site); }
DEVICE void barrier_init_fence() {}
DEVICE void barrier_arrive(uint64_t* barrier, emulate::Site site = emulate::Site::current()) { emulate::barrier_arrive(barrier, 0, "barrier_arrive", site); }
DEVICE void barrier_arrive_expect(uint64_t* barrier, int bytes, emulate::Site site = emulate::Site::current()) {
    emulate::barrier_arrive(barrier, bytes, "barrier_arrive_expect", site);
}
DEVICE void barrier_wait(uint64_t* barrier, int parity, emulate::Site site = emulate::Site::current()) { emulate::barrier_wait(barrier, parity, site); }
DEVICE void copy_box(void* shared, const TensorMap* map, int column, int row, uint64_t* barrier, emulate::Site site = emulate::Site::current()) {
    emulate::copy_box(shared, map, column, row, barrier, site);
}

template <int Count>
DEVICE void registers_release(emulate::Site site = emulate::Site::current()) {
    static_assert(Count % 8 == 0 && Count >= 24 && Count <= 256, "a multiple of 8 from 24 to 256");
    emulate::group_collective("registers_release", site, nullptr, nullptr);
}
template <int Count>
DEVICE void registers_take(emulate::Site site = emulate::Site::current()) {
    static_assert(Count % 8 == 0 && Count >= 24 && Count <= 256, "a multiple of 8 from 24 to 256");
    emulate::group_collective("registers_take", site, nullptr, nullptr);
}

DEVICE void warpgroup_fence(emulate::Site site = emulate::Site::current()) {
    emulate::group_collective("warpgroup_fence", site, nullptr, emulate::group_fence_work);
}
DEVICE void warpgroup_commit(emulate::Site site = emulate::Site::current()) {
    emulate::group_collective("warpgroup_commit", site, nullptr, emulate::group_commit_work);
}
template <int Pending>
DEVICE void warpgroup_wait(emulate::Site site = emulate::Site::current()) {
    int pending = Pending;
    emulate::group_collective("warpgroup_wait", site, &pending, emulate::group_wait_work);
}

// The bits of a GPU's descriptor.
template <bool Across>
DEVICE uint64_t operand_layout(int block_bytes) { return 1ull << 62 | 1024ull >> 4 << 32 | (uint64_t)(Across ? block_bytes >> 4 : 1) << 16; }
DEVICE uint64_t operand_at(uint64_t layout, uint32_t address) { return layout | (address & 0x3ffff) >> 4; }

template <class T, bool AcrossA, bool AcrossB>
DEVICE void warpgroup_mma(float (&d)[8][4][4], uint64_t a, uint64_t b, emulate::Site site = emulate::Site::current()) {
    emulate::GroupMma argument{&d[0][0][0], 256, a, b, AcrossA, AcrossB, std::is_same_v<T, f16>, site};
    emulate::group_collective("warpgroup_mma", site, &argument, emulate::group_mma_work);
}
