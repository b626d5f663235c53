// Rows of a table [vocabulary, width] by token id.
//   forward    y[t] = scale · table[ids[t]] (+ y[t])
//   backward   dtable[id] += scale · Σ dy[t] over the tokens t with that id, in their order
// Floor, bytes an element: forward that of a table element and of y; backward that of dy, and 8 an element of each row that has a token.
// Backward without atomics: keys (id, token) are sorted (sort.cu), and the group of threads that finds the first key of an id adds all its tokens.
#include "core/row.cuh"

template <class TTable, class T, int N>
DEVICE void embedding_forward(const TTable* table, const int* ids, float scale, T* y, int accumulate, int64_t tokens, int width, int threads) {
    const RowGroup group(threads);
    const int64_t token = (int64_t)blockIdx.x * group.count() + group.group;
    if (token >= tokens) return;
    const TTable* from = table + (int64_t)ids[token] * width;
    T* to = y + token * width;
    for (int column = group.thread * N; column < width; column += threads * N) {
        const Chunk<TTable, N> row = load_chunk<N>(from + column);
        const Chunk<T, N> before = accumulate ? load_chunk<N>(to + column) : Chunk<T, N>{};
        Chunk<T, N> result;
#pragma unroll
        for (int i = 0; i < N; i++) result.values[i] = from_float<T>(to_float(row.values[i]) * scale + to_float(before.values[i]));
        store_chunk(to + column, result);
    }
}

// Keys [count] whose descending order is that of ids, and for one id that of tokens; 0 behind the tokens.
KERNEL(embedding_keys, kRowThreads, 4, const int* ids, uint64_t* keys, int64_t tokens, int64_t count) {
    const int64_t i = (int64_t)blockIdx.x * kRowThreads + threadIdx.x;
    if (i < count) keys[i] = i < tokens ? (uint64_t)~(uint32_t)ids[i] << 32 | ~(uint32_t)i : 0;
}

// Positions of the sorted keys in x; parts of the row in y.
template <class T, int N>
DEVICE void embedding_backward(const T* dy, const uint64_t* keys, float scale, float* dtable, int64_t tokens, int width, int threads) {
    const RowGroup group(threads);
    const int64_t first = (int64_t)blockIdx.x * group.count() + group.group;
    if (first >= tokens) return;
    const uint32_t id = (uint32_t)(keys[first] >> 32);
    if (first > 0 && (uint32_t)(keys[first - 1] >> 32) == id) return;
    // The first key of another id: by doubled steps from here, then by halving between the last two.
    int64_t step = 1;
    while (first + step < tokens && (uint32_t)(keys[first + step] >> 32) == id) step *= 2;
    int64_t same = first + step / 2, end = min_of(first + step, tokens);
    while (end - same > 1) {
        const int64_t middle = (same + end) / 2;
        ((uint32_t)(keys[middle] >> 32) == id ? same : end) = middle;
    }

    float* to = dtable + (int64_t)~id * width;
    for (int column = ((int)blockIdx.y * threads + group.thread) * N; column < width; column += (int)gridDim.y * threads * N) {
        Chunk<float, N> sum = load_chunk<N>(to + column);
#pragma unroll 4
        for (int64_t at = first; at < end; at++) {
            const Chunk<T, N> row = load_chunk<N>(dy + (int64_t)~(uint32_t)keys[at] * width + column);
#pragma unroll
            for (int i = 0; i < N; i++) sum.values[i] += to_float(row.values[i]) * scale;
        }
        store_chunk(to + column, sum);
    }
}

#define EMBEDDING_FORWARD(table_type, type) \
    KERNEL(embedding_forward_##table_type##_##type, kRowThreads, 4, const table_type* table, const int* ids, float scale, type* y, int accumulate, \
        int64_t tokens, int width, int threads) { \
        constexpr int kCount = max_of(Packet<table_type>::kCount, Packet<type>::kCount); \
        if (rows_of_chunks<kCount>(width, table, y)) \
            embedding_forward<table_type, type, kCount>(table, ids, scale, y, accumulate, tokens, width, threads); \
        else \
            embedding_forward<table_type, type, 1>(table, ids, scale, y, accumulate, tokens, width, threads); \
    }
#define EMBEDDING(type) \
    EMBEDDING_FORWARD(f32, type) \
    EMBEDDING_FORWARD(f16, type) \
    EMBEDDING_FORWARD(bf16, type) \
    KERNEL(embedding_backward_##type, kRowThreads, 2, const type* dy, const uint64_t* keys, float scale, float* dtable, int64_t tokens, int width, \
        int threads) { \
        constexpr int kCount = Packet<type>::kCount; \
        if (rows_of_chunks<kCount>(width, dy, dtable)) \
            embedding_backward<type, kCount>(dy, keys, scale, dtable, tokens, width, threads); \
        else \
            embedding_backward<type, 1>(dy, keys, scale, dtable, tokens, width, threads); \
    }
EMBEDDING(f32)
EMBEDDING(f16)
EMBEDDING(bf16)
