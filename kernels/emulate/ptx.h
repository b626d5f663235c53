// The second definition of every function of core/ptx.cuh, for the emulator. Included by core/ptx.cuh alone. `site` is where the kernel calls, for reports.
#pragma once
#include <immintrin.h>
#include "tensor.h"

// Barriers

DEVICE void sync_block(emulate::Site site = emulate::Site::current()) { emulate::block_barrier("sync_block", false, site); }
DEVICE bool sync_block_or(bool predicate, emulate::Site site = emulate::Site::current()) { return emulate::block_barrier("sync_block_or", predicate, site); }
DEVICE void sync_warp(emulate::Site site = emulate::Site::current()) { emulate::warp_collective("sync_warp", site, nullptr, emulate::sync_warp_work); }

// Warp collectives

template <class T>
DEVICE T shuffle_any(const char* operation, T value, int source_lane, emulate::Site site) {
    emulate::Shuffle argument{0, source_lane};
    __builtin_memcpy(&argument.value, &value, sizeof(T));
    emulate::warp_collective(operation, site, &argument, emulate::shuffle_work);
    __builtin_memcpy(&value, &argument.result, sizeof(T));
    return value;
}
// A lane past the warp gives the lane's own value, as shfl.bfly does.
template <class T>
DEVICE T shuffle_xor(T value, int mask, emulate::Site site = emulate::Site::current()) {
    const int lane = emulate::current->lane, source = lane ^ mask;
    return shuffle_any("shuffle_xor", value, source < kWarp ? source : lane, site);
}
template <class T>
DEVICE T shuffle(T value, int lane, emulate::Site site = emulate::Site::current()) { return shuffle_any("shuffle", value, lane & (kWarp - 1), site); }
DEVICE uint32_t warp_ballot(bool predicate, emulate::Site site = emulate::Site::current()) {
    uint32_t argument = predicate;
    emulate::warp_collective("warp_ballot", site, &argument, emulate::ballot_work);
    return argument;
}

// Numbers

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(f16 x) { return _cvtsh_ss(x.bits); }
DEVICE float to_float(bf16 x) { return bits_to_float((uint32_t)x.bits << 16); }
DEVICE float to_float(s8 x) { return (float)x; }

template <class T>
DEVICE T from_float(float x);
template <>
DEVICE float from_float<float>(float x) { return x; }
// NaN becomes 0x7fff, as cvt.rn.f16.f32 and cvt.rn.bf16.f32 write it.
template <>
DEVICE f16 from_float<f16>(float x) { return f16{x != x ? (uint16_t)0x7fff : (uint16_t)_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT)}; }
template <>
DEVICE bf16 from_float<bf16>(float x) {
    const uint32_t bits = float_to_bits(x);
    return bf16{x != x ? (uint16_t)0x7fff : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
template <class T>
DEVICE uint32_t pack(float low, float high) { return (uint32_t)from_float<T>(high).bits << 16 | from_float<T>(low).bits; }

DEVICE void widen_s8(uint32_t bytes, uint32_t& low, uint32_t& high) {
    low = pack<f16>((float)(s8)bytes, (float)(s8)(bytes >> 8));
    high = pack<f16>((float)(s8)(bytes >> 16), (float)(s8)(bytes >> 24));
}

DEVICE float exp2_approximate(float x) {
    const float y = exp2f(x);
    return y < 0x1p-126f ? 0.0f : y;  // ftz
}
// Of a number that is flushed to 0 the reciprocal is infinite, and one that would be flushed is 0.
DEVICE float reciprocal_approximate(float x) {
    if (fabsf(x) < 0x1p-126f) return copysignf(kInfinity, x);
    const float y = 1.0f / x;
    return fabsf(y) < 0x1p-126f ? copysignf(0.0f, y) : y;
}
DEVICE int opaque(int x) { return x; }

// Asynchronous copies: the data is read and lands when the issuing thread waits for its group; until then the destination is NaN

DEVICE uint32_t shared_address(const void* pointer) { return (uint32_t)(static_cast<const unsigned char*>(pointer) - emulate::current->block->shared); }
DEVICE void copy_async(void* shared, const void* global, int bytes = 16, emulate::Site site = emulate::Site::current()) {
    emulate::copy_async(shared, global, bytes, site);
}
DEVICE void copy_async_if(void* shared, const void* global, bool present, emulate::Site site = emulate::Site::current()) {
    emulate::copy_async(shared, present ? global : nullptr, present ? 16 : 0, site);
}
DEVICE void copy_async_commit() { emulate::copy_async_commit(); }
template <int Pending>
DEVICE void copy_async_wait() { emulate::copy_async_wait(Pending); }

// Tensor cores

DEVICE void load_matrix_x4(uint32_t (&r)[4], const void* row, emulate::Site site = emulate::Site::current()) {
    emulate::check_shared_row(row, "load_matrix_x4", site);
    emulate::LoadMatrix argument{r, row};
    emulate::warp_collective("load_matrix_x4", site, &argument, emulate::load_matrix_work);
}
DEVICE void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row, emulate::Site site = emulate::Site::current()) {
    emulate::check_shared_row(row, "load_matrix_x4_transposed", site);
    emulate::LoadMatrix argument{r, row};
    emulate::warp_collective("load_matrix_x4_transposed", site, &argument, emulate::load_matrix_transposed_work);
}
template <class T>
DEVICE void mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, emulate::Site site = emulate::Site::current()) {
    static_assert(std::is_same_v<T, f16> || std::is_same_v<T, bf16>, "f16 or bf16");
    emulate::Mma argument{d, a, {b0, b1}};
    emulate::warp_collective("mma", site, &argument, std::is_same_v<T, f16> ? emulate::mma_f16_work : emulate::mma_bf16_work);
}
DEVICE void mma_s8(int32_t (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, emulate::Site site = emulate::Site::current()) {
    emulate::Mma argument{d, a, {b0, b1}};
    emulate::warp_collective("mma_s8", site, &argument, emulate::mma_s8_work);
}

// Atomics

DEVICE uint32_t atomic_add(uint32_t* address, uint32_t value, emulate::Site site = emulate::Site::current()) {
    return emulate::atomic_add(address, value, site);
}
DEVICE uint64_t atomic_max(uint64_t* address, uint64_t value, emulate::Site site = emulate::Site::current()) {
    return emulate::atomic_max(address, value, site);
}
