// The PTX instructions that exist on Hopper (sm_90a) alone: the copy engine for tiles, transaction barriers, matrix products of four warps. Twins for the
// emulator in emulate/hopper.h.
//
// warpgroup_mma, 64 × 256 × 16: warp w of the group of four has rows 16w … 16w + 15; a lane's sums[p][j][e] are those of mma (core/ptx.cuh) for the 16 × 8
// piece whose first column is 32p + 8j. Both operands lie in shared memory in rows of 128 bytes, whose 16-byte chunk c of row r stands at c ^ (r & 7)
// (core/tile.cuh), 8 rows after the other in 1,024 bytes that start at a multiple of 1,024:
//   k along the rows    64 k of one row of A or column of B each; 16 k further is 32 bytes further
//   k down the rows     64 rows of A or columns of B each, one k a row; 16 k further is 2,048 bytes further, the next 64 rows or columns `block_bytes`
#pragma once
#include "../core/ptx.cuh"

// What the copy engine knows of a matrix; made by cuTensorMapEncodeTiled.
struct alignas(64) TensorMap {
    uint64_t words[16];
};

#ifdef EMULATE
#include "../emulate/hopper.h"
#else

// A kernel parameter that the copy engine reads where it lies.
#define GRID_CONSTANT __grid_constant__

// Barriers that count arrivals, and bytes that the copy engine brings. They are 8 bytes of shared memory; a phase ends when all arrivals and all expected bytes
// are there. Phases are numbered from 0 and told by their parity.

DEVICE void barrier_init(uint64_t* barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
// Makes initialised barriers known to the copy engine; a sync_block makes them known to the other threads.
DEVICE void barrier_init_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
DEVICE void barrier_arrive(uint64_t* barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
// Arrives, and makes the phase wait for `bytes` more.
DEVICE void barrier_arrive_expect(uint64_t* barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
// Waits until the phase of this parity has ended: at once for 1 on a fresh barrier, whose phase 0 is under way.
DEVICE void barrier_wait(uint64_t* barrier, int parity) {
    uint32_t ended;
    do {
        asm volatile("{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.b32 %0, 1, 0, p;}"
                     : "=r"(ended) : "r"(shared_address(barrier)), "r"(parity) : "memory");
    } while (ended == 0);
}

// Starts the copy of the map's box at (column, row) to shared memory, with zeros for what lies past the matrix; its bytes, zeros too, count for the barrier.
DEVICE void copy_box(void* shared, const TensorMap* map, int column, int row, uint64_t* barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
                 ::"r"(shared_address(shared)), "l"(map), "r"(shared_address(barrier)), "r"(column), "r"(row) : "memory");
}

// Registers of each thread of the warpgroup, which all its warps change together: gives back what is above, or waits for more.
template <int Count>
DEVICE void registers_release() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Count)); }
template <int Count>
DEVICE void registers_take() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Count)); }

// Before the first warpgroup_mma after other instructions wrote the sums.
DEVICE void warpgroup_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
// Ends a group of warpgroup_mma.
DEVICE void warpgroup_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until at most `Pending` groups are under way: only then may the sums of the others be read, or their operands overwritten.
template <int Pending>
DEVICE void warpgroup_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory"); }

// How the operands lie, but for where they begin. `Across`: k runs down the rows.
template <bool Across>
DEVICE uint64_t operand_layout(int block_bytes) {
    constexpr uint64_t kSwizzle128 = 1ull << 62, kEightRows = 1024;
    return kSwizzle128 | kEightRows >> 4 << 32 | (uint64_t)(Across ? block_bytes >> 4 : 1) << 16;
}
DEVICE uint64_t operand_at(uint64_t layout, uint32_t address) { return layout | (address & 0x3ffff) >> 4; }

#define REGISTERS \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, " \
    "%30, %31, %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, " \
    "%58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, " \
    "%86, %87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, " \
    "%111, %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define PIECE(p) \
    "+f"(d[p][0][0]), "+f"(d[p][0][1]), "+f"(d[p][0][2]), "+f"(d[p][0][3]), "+f"(d[p][1][0]), "+f"(d[p][1][1]), "+f"(d[p][1][2]), "+f"(d[p][1][3]), \
    "+f"(d[p][2][0]), "+f"(d[p][2][1]), "+f"(d[p][2][2]), "+f"(d[p][2][3]), "+f"(d[p][3][0]), "+f"(d[p][3][1]), "+f"(d[p][3][2]), "+f"(d[p][3][3])
#define WARPGROUP_MMA(type) \
    asm volatile("{.reg .pred p; setp.eq.u32 p, 0, 0;" \
                 "wgmma.mma_async.sync.aligned.m64n256k16.f32." #type "." #type " {" REGISTERS "}, %128, %129, p, 1, 1, %130, %131;}" \
                 : PIECE(0), PIECE(1), PIECE(2), PIECE(3), PIECE(4), PIECE(5), PIECE(6), PIECE(7) \
                 : "l"(a), "l"(b), "n"((int)AcrossA), "n"((int)AcrossB))

// Starts d += a · b of the warpgroup: warpgroup_mma<bf16, AcrossA, AcrossB>(sums, a, b)
template <class T, bool AcrossA, bool AcrossB>
DEVICE void warpgroup_mma(float (&d)[8][4][4], uint64_t a, uint64_t b) {
    if constexpr (__is_same(T, bf16)) WARPGROUP_MMA(bf16);
    else WARPGROUP_MMA(f16);
}
#undef WARPGROUP_MMA
#undef PIECE
#undef REGISTERS

#endif
