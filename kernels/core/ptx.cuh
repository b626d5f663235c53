// Every PTX instruction that kernels use, one small function each. The emulator has a second definition of each in emulate/ptx.h.
//
// Fragments of the warp-wide instructions, for lane l with g = l / 4, t = l % 4:
//   mma m16n8k16 (f16, bf16)   A register i: row g + 8·(i & 1),     k = 2t, 2t+1 (+ 8 where i >= 2)
//                              B register i: column g,              k = 2t, 2t+1 (+ 8 where i = 1)
//                              C, D: registers 0, 1 = row g, columns 2t, 2t+1; registers 2, 3 = row g + 8
//                              so that C of two neighbouring n8 tiles, rounded, is A of a following mma (attention's P).
//   mma m16n8k32 (s8)          the same picture with four bytes, k = 4t … 4t+3 (+ 16), in place of two halves
//   ldmatrix x4                lane l gives the address of row l % 8 of the 8 × 8 matrix l / 8; register i receives of matrix i: row g, columns 2t, 2t+1;
//                              transposed: rows 2t, 2t+1 of column g
#pragma once
#include "types.cuh"

#ifdef EMULATE
#include "../emulate/ptx.h"
#else

// Barriers

// Waits for all threads of the block; what they wrote to shared and global memory is seen afterwards.
DEVICE void sync_block() { __syncthreads(); }
// As sync_block, and whether the predicate holds for any thread.
DEVICE bool sync_block_or(bool predicate) { return __syncthreads_or(predicate); }
// Waits for all 32 lanes of the warp.
DEVICE void sync_warp() { __syncwarp(); }

// Warp collectives: all 32 lanes take part

DEVICE float shuffle_xor(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
DEVICE int shuffle_xor(int value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
DEVICE uint64_t shuffle_xor(uint64_t value, int mask) { return __shfl_xor_sync(0xffffffffu, (unsigned long long)value, mask); }
DEVICE float shuffle(float value, int lane) { return __shfl_sync(0xffffffffu, value, lane); }
DEVICE int shuffle(int value, int lane) { return __shfl_sync(0xffffffffu, value, lane); }
DEVICE uint64_t shuffle(uint64_t value, int lane) { return __shfl_sync(0xffffffffu, (unsigned long long)value, lane); }
// One bit a lane.
DEVICE uint32_t warp_ballot(bool predicate) { return __ballot_sync(0xffffffffu, predicate); }

// Numbers

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(f16 x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}
DEVICE float to_float(bf16 x) { return bits_to_float((uint32_t)x.bits << 16); }
DEVICE float to_float(s8 x) { return (float)x; }

// Rounds to nearest even. from_float<bf16>(x)
template <class T>
DEVICE T from_float(float x);
template <>
DEVICE float from_float<float>(float x) { return x; }
template <>
DEVICE f16 from_float<f16>(float x) {
    f16 y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}
template <>
DEVICE bf16 from_float<bf16>(float x) {
    bf16 y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

// Two floats rounded into one register, the first in the lower half: pack<bf16>(low, high)
template <class T>
DEVICE uint32_t pack(float low, float high);
template <>
DEVICE uint32_t pack<f16>(float low, float high) {
    uint32_t d;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low));
    return d;
}
template <>
DEVICE uint32_t pack<bf16>(float low, float high) {
    uint32_t d;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low));
    return d;
}

// Four signed bytes as f16, exactly: 0 and 1 into `low`, 2 and 3 into `high`. With its sign flipped a byte is the last one of 1024 + 128 + x.
DEVICE void widen_s8(uint32_t bytes, uint32_t& low, uint32_t& high) {
    asm("{.reg .b32 x, y, z; xor.b32 x, %2, 0x80808080; prmt.b32 y, x, 0x64646464, 0x4140; prmt.b32 z, x, 0x64646464, 0x4342;"
        " sub.f16x2 %0, y, %3; sub.f16x2 %1, z, %3;}" : "=r"(low), "=r"(high) : "r"(bytes), "r"(0x64806480));
}

// 2^x, about 2 ulp; 0 for -infinity.
DEVICE float exp2_approximate(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
// 1 / x, about 1 ulp; 0 for infinity, infinity for 0.
DEVICE float reciprocal_approximate(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// The same value, of which the compiler knows nothing: what is computed from it in a loop is computed there and holds no register across the loop.
DEVICE int opaque(int x) {
    asm volatile("" : "+r"(x));
    return x;
}

// Asynchronous copies from global to shared memory

DEVICE uint32_t shared_address(const void* pointer) { return (uint32_t)__cvta_generic_to_shared(pointer); }

// Starts a copy of 16 bytes: the first `bytes` (0 to 16) from global memory, zeros for the rest. Both addresses are multiples of 16, and the global one is
// valid even where bytes = 0. Past L1: for data that one block reads once.
DEVICE void copy_async(void* shared, const void* global, int bytes = 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes) : "memory");
}
// The same for all 16 bytes or none: where not `present`, zeros, and the global address may be anything.
DEVICE void copy_async_if(void* shared, const void* global, bool present) {
    asm volatile("{.reg .pred absent; setp.eq.s32 absent, %2, 0; cp.async.cg.shared.global [%0], [%1], 16, absent;}"
                 ::"r"(shared_address(shared)), "l"(global), "r"((int)present) : "memory");
}
// Ends a group of copies; one a pipeline step, also where nothing was started, so that the number to wait for stays the same.
DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most `Pending` of this thread's newest groups are under way. Other threads' copies are seen after a sync_block.
template <int Pending>
DEVICE void copy_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory"); }

// Tensor cores

DEVICE void load_matrix_x4(uint32_t (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}
DEVICE void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}

// d += a · b, 16 × 8 × 16, inputs f16 or bf16, sums in float32: mma<bf16>(d, a, b0, b1)
template <class T>
DEVICE void mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
template <>
DEVICE void mma<f16>(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
DEVICE void mma<bf16>(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// d += a · b, 16 × 8 × 32, signed bytes, sums in int32, exact.
DEVICE void mma_s8(int32_t (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Atomics on integers (floats are never added atomically: the same inputs give the same bits)

DEVICE uint32_t atomic_add(uint32_t* address, uint32_t value) { return atomicAdd(address, value); }
DEVICE uint64_t atomic_max(uint64_t* address, uint64_t value) { return atomicMax(reinterpret_cast<unsigned long long*>(address), (unsigned long long)value); }

#endif
