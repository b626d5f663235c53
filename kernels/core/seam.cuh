// The seam between a kernel and what runs it. Kernels are written in CUDA C++ against this header and the others of core/ alone, so that the same source is
// compiled by nvcc for a GPU and, with EMULATE defined, by g++ for kernels/emulate, where every CUDA thread is a fiber.
//
// Rules that make both possible:
//   - every inline-assembly line of the project is in ptx.cuh (and hopper/ptx.cuh); no CUDA header is included anywhere;
//   - shared memory is declared by SHARED and SHARED_DYNAMIC only; kernels by KERNEL only;
//   - barriers and warp collectives by the functions of ptx.cuh and warp.cuh, called by all threads of the block or all 32 lanes of the warp;
//   - no block waits for another block of the same launch.
#pragma once

#ifdef EMULATE
#include "../emulate/seam.h"
#else

#include <stdint.h>

#define DEVICE __device__ __forceinline__

// KERNEL(rmsnorm_forward_bf16, 256, 2, const bf16* x, int rows) { ... }: an entry point that the driver finds by that name, launched with at most `threads`
// threads a block, compiled so that `blocks` blocks fit on one multiprocessor.
#define KERNEL(name, threads, blocks, ...) extern "C" __global__ void __launch_bounds__(threads, blocks) name(__VA_ARGS__)

// SHARED(float, partial, 32): a pointer to 32 floats shared by the block, aligned to 16 bytes, contents undefined.
#define SHARED(type, name, count) \
    __shared__ __align__(16) unsigned char name##_bytes[(count) * sizeof(type)]; \
    type* const name = reinterpret_cast<type*>(name##_bytes)

// SHARED_DYNAMIC(bytes): a pointer, aligned to 1024, to the shared memory whose size the launch names. Once a kernel.
#define SHARED_DYNAMIC(name) \
    extern __shared__ __align__(1024) unsigned char shared_dynamic_bytes[]; \
    unsigned char* const name = shared_dynamic_bytes

// CHECK_ALIGNED(address, 16): a GPU faults at a misaligned packet by itself, the emulator here.
#define CHECK_ALIGNED(address, bytes) ((void)0)

#endif

constexpr int kWarp = 32;
constexpr float kInfinity = __builtin_huge_valf();

template <class T>
DEVICE constexpr T ceil_div(T a, T b) { return (a + b - 1) / b; }
template <class T>
DEVICE constexpr T min_of(T a, T b) { return b < a ? b : a; }
template <class T>
DEVICE constexpr T max_of(T a, T b) { return a < b ? b : a; }
