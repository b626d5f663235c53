// One row y [sequences, width] F32 for each sequence of x [tokens, width], which is rows cu_seq_lens[s] to cu_seq_lens[s + 1] - 1; 0 for an empty one.
//   forward    y = the last, the first, the mean, the weighted mean (weights i / (1 + 2 + … + n), i = 1 … n), or the element-wise largest row
//   backward   dx [tokens, width], all of it, from dy; of equal largest values the first token's gets the gradient
// Floor, of e bytes an element: e bytes an element read (the mean forms, the largest) or written (backward).
// A block has a sequence and 32 chunks of columns; its 8 warps take every eighth token each, and what they found is joined in order.
#include "core/row.cuh"

enum Pooling { kLast, kFirst, kMean, kWeightedMean, kMax };

constexpr int kWarps = kRowThreads / kWarp;

// A block's sequence: its tokens, and those that this warp goes through.
struct PoolTokens {
    int pooling, first, count, begin, end;
    DEVICE PoolTokens(const int* cu_seq_lens, int pooling_) : pooling(pooling_) {
        first = cu_seq_lens[blockIdx.x];
        count = cu_seq_lens[blockIdx.x + 1] - first;
        begin = pooling == kLast ? max_of(count - 1, 0) : 0;
        end = pooling <= kFirst ? min_of(begin + 1, count) : count;
    }
    DEVICE float weight(int token) const {
        if (pooling == kMean) return 1.0f / count;
        if (pooling == kWeightedMean) return (token + 1) / (float)((int64_t)count * (count + 1) / 2);
        return token >= begin && token < end ? 1.0f : 0.0f;
    }
};

// NaN is larger than every number, as in Vector512.Max.
DEVICE float larger(float a, float b) { return b > a || b != b ? b : a; }

template <class T, int N>
DEVICE void pool_forward(const T* x, const int* cu_seq_lens, int pooling, float* y, int width) {
    SHARED(float, found, N * kRowThreads);
    const PoolTokens tokens(cu_seq_lens, pooling);
    const bool max = pooling == kMax && tokens.count > 0;
    for (int base = (int)blockIdx.y * kWarp * N; base < width; base += (int)gridDim.y * kWarp * N) {
        const int column = base + lane_index() * N;
        Chunk<float, N> result;
#pragma unroll
        for (int i = 0; i < N; i++) result.values[i] = max ? -kInfinity : 0.0f;
        if (column < width) {
#pragma unroll 4
            for (int token = tokens.begin + warp_index(); token < tokens.end; token += kWarps) {
                const Chunk<T, N> row = load_chunk<N>(x + (int64_t)(tokens.first + token) * width + column);
                const float weight = tokens.weight(token);
#pragma unroll
                for (int i = 0; i < N; i++) {
                    const float value = to_float(row.values[i]);
                    result.values[i] = max ? larger(result.values[i], value) : result.values[i] + value * weight;
                }
            }
        }
#pragma unroll
        for (int i = 0; i < N; i++) found[i * kRowThreads + threadIdx.x] = result.values[i];
        sync_block();
        if (warp_index() == 0 && column < width) {
#pragma unroll
            for (int warp = 1; warp < kWarps; warp++)
#pragma unroll
                for (int i = 0; i < N; i++) {
                    const float other = found[i * kRowThreads + warp * kWarp + lane_index()];
                    result.values[i] = max ? larger(result.values[i], other) : result.values[i] + other;
                }
            store_chunk(y + (int64_t)blockIdx.x * width + column, result);
        }
        sync_block();
    }
}

// The first token with the largest value, for each column of a chunk. A value that is no number is never larger; a first one is never passed.
template <class T, int N>
DEVICE void pool_largest(const T* x, const PoolTokens& tokens, int column, int width, int (&largest)[N], float* values, int* places) {
    float best[N] = {};
    if (column < width) {
        const Chunk<T, N> row = load_chunk<N>(x + (int64_t)tokens.first * width + column);
#pragma unroll
        for (int i = 0; i < N; i++) best[i] = to_float(row.values[i]);
        for (int token = warp_index(); token < tokens.count; token += kWarps) {
            const Chunk<T, N> other = load_chunk<N>(x + (int64_t)(tokens.first + token) * width + column);
#pragma unroll
            for (int i = 0; i < N; i++)
                if (to_float(other.values[i]) > best[i]) {
                    best[i] = to_float(other.values[i]);
                    largest[i] = token;
                }
        }
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        values[i * kRowThreads + threadIdx.x] = best[i];
        places[i * kRowThreads + threadIdx.x] = largest[i];
    }
    sync_block();
#pragma unroll
    for (int i = 0; i < N; i++)
        for (int warp = 0; warp < kWarps; warp++) {
            const int at = i * kRowThreads + warp * kWarp + lane_index();
            if (values[at] > best[i] || (values[at] == best[i] && places[at] < largest[i])) {
                best[i] = values[at];
                largest[i] = places[at];
            }
        }
    sync_block();
}

template <class T, int N>
DEVICE void pool_backward(const float* dy, const T* x, const int* cu_seq_lens, int pooling, T* dx, int width) {
    SHARED(float, values, N * kRowThreads);
    SHARED(int, places, N * kRowThreads);
    const PoolTokens tokens(cu_seq_lens, pooling);
    if (tokens.count <= 0) return;
    for (int base = (int)blockIdx.y * kWarp * N; base < width; base += (int)gridDim.y * kWarp * N) {
        const int column = base + lane_index() * N;
        int largest[N] = {};
        if (pooling == kMax) pool_largest<T, N>(x, tokens, column, width, largest, values, places);
        if (column >= width) continue;
        const Chunk<float, N> gradient = load_chunk<N>(dy + (int64_t)blockIdx.x * width + column);
        for (int token = warp_index(); token < tokens.count; token += kWarps) {
            const float weight = tokens.weight(token);
            Chunk<T, N> row;
#pragma unroll
            for (int i = 0; i < N; i++) {
                const float factor = pooling == kMax ? (largest[i] == token ? 1.0f : 0.0f) : weight;
                row.values[i] = from_float<T>(factor == 0.0f ? 0.0f : gradient.values[i] * factor);
            }
            store_chunk(dx + (int64_t)(tokens.first + token) * width + column, row);
        }
    }
}

#define POOL(type) \
    KERNEL(pool_forward_##type, kRowThreads, 3, const type* x, const int* cu_seq_lens, int pooling, float* y, int width) { \
        constexpr int kCount = Packet<type>::kCount; \
        if (rows_of_chunks<kCount>(width, x, y)) \
            pool_forward<type, kCount>(x, cu_seq_lens, pooling, y, width); \
        else \
            pool_forward<type, 1>(x, cu_seq_lens, pooling, y, width); \
    } \
    KERNEL(pool_backward_##type, kRowThreads, 3, const float* dy, const type* x, const int* cu_seq_lens, int pooling, type* dx, int width) { \
        constexpr int kCount = Packet<type>::kCount; \
        if (rows_of_chunks<kCount>(width, dy, x, dx)) \
            pool_backward<type, kCount>(dy, x, cu_seq_lens, pooling, dx, width); \
        else \
            pool_backward<type, 1>(dy, x, cu_seq_lens, pooling, dx, width); \
    }
POOL(f32)
POOL(f16)
POOL(bf16)
