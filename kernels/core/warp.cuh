// What threads of a warp and of a block do together: 16-byte packets, reductions in a fixed order.
#pragma once
#include "ptx.cuh"

DEVICE int lane_index() { return (int)threadIdx.x % kWarp; }
DEVICE int warp_index() { return (int)threadIdx.x / kWarp; }

// Sixteen bytes of elements, moved by one instruction. The address is a multiple of 16.
template <class T>
struct alignas(16) Packet {
    static constexpr int kCount = 16 / sizeof(T);
    T values[kCount];
};
template <class T>
DEVICE Packet<T> load_packet(const T* address) {
    CHECK_ALIGNED(address, 16);
    return *reinterpret_cast<const Packet<T>*>(address);
}
template <class T>
DEVICE void store_packet(T* address, const Packet<T>& packet) {
    CHECK_ALIGNED(address, 16);
    *reinterpret_cast<Packet<T>*>(address) = packet;
}

// The sum over the warp's lanes, the same in every lane.
DEVICE float warp_sum(float value) {
#pragma unroll
    for (int mask = kWarp / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
    return value;
}
DEVICE float warp_max(float value) {
#pragma unroll
    for (int mask = kWarp / 2; mask > 0; mask /= 2) value = fmaxf(value, shuffle_xor(value, mask));
    return value;
}

// The sum over a block of `Threads` threads (a multiple of 32), the same in every thread. All threads call it; `scratch` is SHARED, one float a warp,
// free to be used again after the next barrier.
template <int Threads>
DEVICE float block_sum(float value, float* scratch) {
    static_assert(Threads % kWarp == 0 && Threads <= 1024, "whole warps");
    value = warp_sum(value);
    if (lane_index() == 0) scratch[warp_index()] = value;
    sync_block();
    value = lane_index() < Threads / kWarp ? scratch[lane_index()] : 0.0f;
    return warp_sum(value);
}
