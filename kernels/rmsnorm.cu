// Root-mean-square normalisation (Zhang, Sennrich 2019) of the rows of x [rows, width], float32 inside, one rounding to the stored type.
//   forward    s = x (+ residual, rounded and written to sum);  rstd = 1 / √(mean(s²) + eps);  y = s · rstd · (weight + offset)
//   backward   with g = dy · (weight + offset):  dx = rstd · (g - s · rstd² · mean(g · s)) (+ dx);  dweight += Σ rows of dy · s · rstd
// Floor, bytes an element of e bytes: forward 2e, with residual 4e; backward 3e (4e where it adds).
// A group of threads a row, which comes once from memory and again from registers or cache.
// dweight: each group sums the rows it meets in registers and writes one row of partials [groups, width], which partials.cu adds in order.
#include "core/row.cuh"

template <class T, int N>
DEVICE void rmsnorm_forward(const T* x, const T* residual, const float* weight, float offset, float eps, T* sum, T* y, float* rstd, int64_t rows,
    int width, int threads) {
    SHARED(float, scratch, kRowThreads / kWarp);
    const RowGroup group(threads);
    const int64_t row = (int64_t)blockIdx.x * group.count() + group.group, first = row * width;
    const int columns = row < rows ? width : 0;
    const T* source = residual ? sum : x;

    Chunk<T, N> held[kHeld];
    float squares = 0;
    for_each_chunk<N>(group, columns, held, [&](Chunk<T, N>& chunk, int column, bool) {
        chunk = load_sum<N>(x, residual, sum, first + column);
#pragma unroll
        for (int i = 0; i < N; i++) squares += to_float(chunk.values[i]) * to_float(chunk.values[i]);
    });
    const float scale = 1.0f / sqrtf(group_sum(squares, group, scratch) / width + eps);
    if (row < rows && group.thread == 0) rstd[row] = scale;
    for_each_chunk<N>(group, columns, held, [&](Chunk<T, N>& chunk, int column, bool is_held) {
        if (!is_held) chunk = load_chunk<N>(source + first + column);
        const Chunk<float, N> w = load_chunk<N>(weight + column);
#pragma unroll
        for (int i = 0; i < N; i++) chunk.values[i] = from_float<T>(to_float(chunk.values[i]) * scale * (w.values[i] + offset));
        store_chunk(y + first + column, chunk);
    });
}

template <class T, int N>
DEVICE void rmsnorm_backward(const T* dy, const T* x, const float* weight, float offset, const float* rstd, T* dx, int accumulate, float* partials,
    int64_t rows, int width, int threads) {
    SHARED(float, scratch, kRowThreads / kWarp);
    const RowGroup group(threads);
    // dweight of this thread's columns; of those further right it is summed in the partial row itself, which no other thread touches there.
    Chunk<float, N> sums[kHeld] = {};
    float* partial = partials ? partials + ((int64_t)blockIdx.x * group.count() + group.group) * width : nullptr;
    if (partial)
        for_each_chunk<N>(group, width, sums, [&](Chunk<float, N>&, int column, bool is_held) {
            if (!is_held) store_chunk(partial + column, Chunk<float, N>{});
        });

    for (int64_t base = (int64_t)blockIdx.x * group.count(); base < rows; base += (int64_t)gridDim.x * group.count()) {
        const int64_t row = base + group.group, first = row * width;
        const int columns = row < rows ? width : 0;
        const float scale = row < rows ? rstd[row] : 0.0f;
        float dot = 0;
        for_each_chunk<N>(group, columns, sums, [&](Chunk<float, N>&, int column, bool) {
            const Chunk<T, N> gradient = load_chunk<N>(dy + first + column), s = load_chunk<N>(x + first + column);
            const Chunk<float, N> w = load_chunk<N>(weight + column);
#pragma unroll
            for (int i = 0; i < N; i++) dot += to_float(gradient.values[i]) * (w.values[i] + offset) * to_float(s.values[i]);
        });
        const float factor = scale * scale * scale * (group_sum(dot, group, scratch) / width);
        for_each_chunk<N>(group, columns, sums, [&](Chunk<float, N>& sum, int column, bool is_held) {
            const Chunk<T, N> gradient = load_chunk<N>(dy + first + column), s = load_chunk<N>(x + first + column);
            const Chunk<T, N> before = accumulate ? load_chunk<N>(dx + first + column) : Chunk<T, N>{};
            const Chunk<float, N> w = load_chunk<N>(weight + column);
            if (partial && !is_held) sum = load_chunk<N>(partial + column);
            Chunk<T, N> result;
#pragma unroll
            for (int i = 0; i < N; i++) {
                const float scaled = to_float(gradient.values[i]) * scale;
                sum.values[i] += scaled * to_float(s.values[i]);
                result.values[i] = from_float<T>(scaled * (w.values[i] + offset) - to_float(s.values[i]) * factor + to_float(before.values[i]));
            }
            store_chunk(dx + first + column, result);
            if (partial && !is_held) store_chunk(partial + column, sum);
        });
    }

    if (partial)
        for_each_chunk<N>(group, width, sums, [&](Chunk<float, N>& sum, int column, bool is_held) {
            if (is_held) store_chunk(partial + column, sum);
        });
}

#define RMSNORM(type) \
    KERNEL(rmsnorm_forward_##type, kRowThreads, 3, const type* x, const type* residual, const float* weight, float offset, float eps, type* sum, type* y, \
        float* rstd, int64_t rows, int width, int threads) { \
        constexpr int kCount = Packet<type>::kCount; \
        if (rows_of_chunks<kCount>(width, x, residual, weight, sum, y)) \
            rmsnorm_forward<type, kCount>(x, residual, weight, offset, eps, sum, y, rstd, rows, width, threads); \
        else \
            rmsnorm_forward<type, 1>(x, residual, weight, offset, eps, sum, y, rstd, rows, width, threads); \
    } \
    KERNEL(rmsnorm_backward_##type, kRowThreads, 2, const type* dy, const type* x, const float* weight, float offset, const float* rstd, type* dx, \
        int accumulate, float* partials, int64_t rows, int width, int threads) { \
        constexpr int kCount = Packet<type>::kCount; \
        if (rows_of_chunks<kCount>(width, dy, x, weight, dx, partials)) \
            rmsnorm_backward<type, kCount>(dy, x, weight, offset, rstd, dx, accumulate, partials, rows, width, threads); \
        else \
            rmsnorm_backward<type, 1>(dy, x, weight, offset, rstd, dx, accumulate, partials, rows, width, threads); \
    }
RMSNORM(f32)
RMSNORM(f16)
RMSNORM(bf16)
