// Rows of a matrix, each worked on by a group of 32, 64, 128 or 256 threads of a block of 256, so that narrow rows leave no thread idle and wide ones fit
// into the registers of their group.
#pragma once
#include "warp.cuh"

constexpr int kRowThreads = 256;

// Chunks of a row that a thread keeps in registers from one pass over the row to the next; what lies further right is read again, from cache.
constexpr int kHeld = 4;

// N neighbouring elements. N is 16 bytes' worth where all rows begin at multiples of 16 bytes, else 1.
template <class T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Chunk {
    T values[N];
};
template <int N, class T>
DEVICE Chunk<T, N> load_chunk(const T* address) { return *reinterpret_cast<const Chunk<T, N>*>(address); }
template <class T, int N>
DEVICE void store_chunk(T* address, const Chunk<T, N>& chunk) { *reinterpret_cast<Chunk<T, N>*>(address) = chunk; }

// Whether all rows of matrices of that width, which begin at these addresses (or are none), are made of whole chunks of N elements.
DEVICE uintptr_t address_bits() { return 0; }
template <class T, class... Others>
DEVICE uintptr_t address_bits(const T* first, const Others*... others) { return (uintptr_t)first | address_bits(others...); }
template <int N, class... T>
DEVICE bool rows_of_chunks(int64_t width, const T*... addresses) { return width % N == 0 && address_bits(addresses...) % 16 == 0; }

// This thread's place: its group's row, counted from the block's first, and its place in the group.
struct RowGroup {
    int threads, group, thread;
    DEVICE explicit RowGroup(int group_threads)
        : threads(group_threads), group((int)threadIdx.x / group_threads), thread((int)threadIdx.x % group_threads) {}
    // Rows a block.
    DEVICE int count() const { return kRowThreads / threads; }
};

// Calls f(chunk, column, held) for every chunk of N columns that is this thread's. The first of them are kept in `held` from call to call; others
// (held = false) are the caller's to load again.
template <int N, class Held, int Count, class F>
DEVICE void for_each_chunk(const RowGroup& group, int width, Held (&held)[Count], F f) {
    const int step = group.threads * N;
    int column = group.thread * N;
#pragma unroll
    for (int i = 0; i < Count; i++, column += step)
        if (column < width) f(held[i], column, true);
    for (; column < width; column += step) {
        Held chunk;
        f(chunk, column, false);
    }
}

// The chunk at `at`, of x or, where there is a residual, of x + residual, rounded and written to sum too.
template <int N, class T>
DEVICE Chunk<T, N> load_sum(const T* x, const T* residual, T* sum, int64_t at) {
    Chunk<T, N> chunk = load_chunk<N>(x + at);
    if (residual) {
        const Chunk<T, N> other = load_chunk<N>(residual + at);
#pragma unroll
        for (int i = 0; i < N; i++) chunk.values[i] = from_float<T>(to_float(chunk.values[i]) + to_float(other.values[i]));
        store_chunk(sum + at, chunk);
    }
    return chunk;
}

// Sums of several values over the group's threads, in a fixed order, the same in every thread. All threads of the block call it. `scratch` is SHARED,
// Count · 8 floats, free again at once.
template <int Count>
DEVICE void group_sum(float (&values)[Count], const RowGroup& group, float* scratch) {
#pragma unroll
    for (int i = 0; i < Count; i++) values[i] = warp_sum(values[i]);
    if (group.threads == kWarp) return;
    constexpr int kWarps = kRowThreads / kWarp;
    const int warps = group.threads / kWarp, first = group.group * warps;
    sync_block();
    if (lane_index() == 0)
#pragma unroll
        for (int i = 0; i < Count; i++) scratch[i * kWarps + warp_index()] = values[i];
    sync_block();
#pragma unroll
    for (int i = 0; i < Count; i++) values[i] = warp_sum(lane_index() < warps ? scratch[i * kWarps + first + lane_index()] : 0.0f);
}
DEVICE float group_sum(float value, const RowGroup& group, float* scratch) {
    float values[1] = {value};
    group_sum(values, group, scratch);
    return values[0];
}
// The largest value, as group_sum.
DEVICE float group_max(float value, const RowGroup& group, float* scratch) {
    value = warp_max(value);
    if (group.threads == kWarp) return value;
    const int warps = group.threads / kWarp, first = group.group * warps;
    sync_block();
    if (lane_index() == 0) scratch[warp_index()] = value;
    sync_block();
    return warp_max(lane_index() < warps ? scratch[first + lane_index()] : -kInfinity);
}
