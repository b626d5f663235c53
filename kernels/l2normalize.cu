// Rows of x [rows, width] scaled to length 1, float32 inside.
//   forward    norm = ‖x‖;  y = x / max(norm, 1e-12)
//   backward   dx = (dy - y · (y · dy)) / max(norm, 1e-12)
// Floor, bytes an element of e bytes: forward 2e, backward 3e.
// A group of threads a row, which comes once from memory and again from registers or cache.
// y may be x, dx may be dy.
#include "core/row.cuh"

constexpr float kSmallestNorm = 1e-12f;

template <class T, int N>
DEVICE void l2normalize_forward(const T* x, T* y, float* norm, int64_t rows, int width, int threads) {
    SHARED(float, scratch, kRowThreads / kWarp);
    const RowGroup group(threads);
    const int64_t row = (int64_t)blockIdx.x * group.count() + group.group, first = row * width;
    const int columns = row < rows ? width : 0;
    Chunk<T, N> held[kHeld];
    float squares = 0;
    for_each_chunk<N>(group, columns, held, [&](Chunk<T, N>& chunk, int column, bool) {
        chunk = load_chunk<N>(x + first + column);
#pragma unroll
        for (int i = 0; i < N; i++) squares += to_float(chunk.values[i]) * to_float(chunk.values[i]);
    });
    const float length = sqrtf(group_sum(squares, group, scratch)), scale = 1.0f / fmaxf(length, kSmallestNorm);
    if (row < rows && group.thread == 0) norm[row] = length;
    for_each_chunk<N>(group, columns, held, [&](Chunk<T, N>& chunk, int column, bool is_held) {
        if (!is_held) chunk = load_chunk<N>(x + first + column);
#pragma unroll
        for (int i = 0; i < N; i++) chunk.values[i] = from_float<T>(to_float(chunk.values[i]) * scale);
        store_chunk(y + first + column, chunk);
    });
}

template <class T, int N>
struct L2NormalizeHeld {
    Chunk<T, N> dy, y;
};

template <class T, int N>
DEVICE void l2normalize_backward(const T* dy, const T* y, const float* norm, T* dx, int64_t rows, int width, int threads) {
    SHARED(float, scratch, kRowThreads / kWarp);
    const RowGroup group(threads);
    const int64_t row = (int64_t)blockIdx.x * group.count() + group.group, first = row * width;
    const int columns = row < rows ? width : 0;
    L2NormalizeHeld<T, N> held[kHeld];
    float dot = 0;
    for_each_chunk<N>(group, columns, held, [&](L2NormalizeHeld<T, N>& at, int column, bool) {
        at = {load_chunk<N>(dy + first + column), load_chunk<N>(y + first + column)};
#pragma unroll
        for (int i = 0; i < N; i++) dot += to_float(at.dy.values[i]) * to_float(at.y.values[i]);
    });
    dot = group_sum(dot, group, scratch);
    const float scale = row < rows ? 1.0f / fmaxf(norm[row], kSmallestNorm) : 0.0f;
    for_each_chunk<N>(group, columns, held, [&](L2NormalizeHeld<T, N>& at, int column, bool is_held) {
        if (!is_held) at = {load_chunk<N>(dy + first + column), load_chunk<N>(y + first + column)};
        Chunk<T, N> result;
#pragma unroll
        for (int i = 0; i < N; i++) result.values[i] = from_float<T>((to_float(at.dy.values[i]) - to_float(at.y.values[i]) * dot) * scale);
        store_chunk(dx + first + column, result);
    });
}

#define L2NORMALIZE(type) \
    KERNEL(l2normalize_forward_##type, kRowThreads, 3, const type* x, type* y, float* norm, int64_t rows, int width, int threads) { \
        constexpr int kCount = Packet<type>::kCount; \
        if (rows_of_chunks<kCount>(width, x, y)) \
            l2normalize_forward<type, kCount>(x, y, norm, rows, width, threads); \
        else \
            l2normalize_forward<type, 1>(x, y, norm, rows, width, threads); \
    } \
    KERNEL(l2normalize_backward_##type, kRowThreads, 2, const type* dy, const type* y, const float* norm, type* dx, int64_t rows, int width, int threads) { \
        constexpr int kCount = Packet<type>::kCount; \
        if (rows_of_chunks<kCount>(width, dy, y, dx)) \
            l2normalize_backward<type, kCount>(dy, y, norm, dx, rows, width, threads); \
        else \
            l2normalize_backward<type, 1>(dy, y, norm, dx, rows, width, threads); \
    }
L2NORMALIZE(f32)
L2NORMALIZE(f16)
L2NORMALIZE(bf16)
