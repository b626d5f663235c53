// result [1] = Σ x² (+ result), in the same order on every call: a sum for each block, then the sum of these by one block.
// Floor: the bytes of x. Reading is by chunks of 16 bytes where x begins at a multiple of 16.
#include "core/row.cuh"

constexpr int kThreads = kRowThreads;

template <class T, int N>
DEVICE float squares(const T* x, int64_t count) {
    const int64_t step = (int64_t)gridDim.x * kThreads * N, whole = count / N * N;
    const int64_t thread = (int64_t)blockIdx.x * kThreads + threadIdx.x;
    // A sum for each element of the chunk: shorter chains of additions, which lose less.
    float sums[N] = {};
    for (int64_t i = thread * N; i < whole; i += step) {
        const Chunk<T, N> chunk = load_chunk<N>(x + i);
#pragma unroll
        for (int j = 0; j < N; j++) sums[j] += to_float(chunk.values[j]) * to_float(chunk.values[j]);
    }
    if (whole + thread < count) sums[0] += to_float(x[whole + thread]) * to_float(x[whole + thread]);
#pragma unroll
    for (int j = 1; j < N; j++) sums[0] += sums[j];
    return sums[0];
}

template <class T>
DEVICE void sumofsquares(const T* x, float* partials, int64_t count) {
    SHARED(float, scratch, kThreads / kWarp);
    const float sum = address_bits(x) % 16 == 0 ? squares<T, Packet<T>::kCount>(x, count) : squares<T, 1>(x, count);
    const float total = block_sum<kThreads>(sum, scratch);
    if (threadIdx.x == 0) partials[blockIdx.x] = total;
}

#define SUMOFSQUARES(type) \
    KERNEL(sumofsquares_##type, kThreads, 4, const type* x, float* partials, int64_t count) { sumofsquares<type>(x, partials, count); }
SUMOFSQUARES(f32)
SUMOFSQUARES(f16)
SUMOFSQUARES(bf16)

// The end: one block.
KERNEL(sumofsquares_end, kThreads, 1, const float* partials, float* result, int count, int accumulate) {
    SHARED(float, scratch, kThreads / kWarp);
    float sum = 0;
    for (int i = (int)threadIdx.x; i < count; i += kThreads) sum += partials[i];
    const float total = block_sum<kThreads>(sum, scratch);
    if (threadIdx.x == 0) *result = accumulate ? *result + total : total;
}
