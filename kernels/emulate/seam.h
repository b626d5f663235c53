// The second definition of core/seam.cuh: kernels compiled by g++, every CUDA thread a fiber of runtime.cpp. Included by core/seam.cuh alone.
#pragma once
#include <math.h>
#include "runtime.h"

#define DEVICE inline __attribute__((always_inline))

#define KERNEL(name, threads, blocks, ...) \
    static void name(__VA_ARGS__); \
    static const ::emulate::Kernel name##_registration(#name, __FILE__, threads, ::emulate::Call<name>::run, ::emulate::Call<name>::sizes); \
    static void name(__VA_ARGS__)

#define SHARED(type, name, count) \
    static const char name##_identity = 0; \
    type* const name = static_cast<type*>(::emulate::shared_static(&name##_identity, #name, (count) * sizeof(type), ::emulate::Site::current()))

#define SHARED_DYNAMIC(name) unsigned char* const name = ::emulate::shared_dynamic()

#define CHECK_ALIGNED(address, bytes) \
    (reinterpret_cast<uintptr_t>(address) % (bytes) ? ::emulate::misaligned(address, bytes, ::emulate::Site::current()) : (void)0)

#define threadIdx (::emulate::current->thread_index)
#define blockIdx (::emulate::current->block->index)
#define blockDim (::emulate::current->block->launch->threads)
#define gridDim (::emulate::current->block->launch->grid)

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
