// Layer normalisation (Ba et al. 2016) of the rows of x [rows, width], float32 inside, one rounding to the stored type.
//   forward    s = x (+ residual, rounded and written to sum);  rstd = 1 / √(mean((s - mean)²) + eps);  z = (s - mean) · rstd;  y = z · weight (+ bias)
//   backward   with g = dy · weight:  dx = rstd · (g - mean(g) - z · mean(g · z)) (+ dx);  dweight += Σ rows of dy · z;  dbias += Σ rows of dy
// Floor, bytes an element of e bytes: forward 2e, with residual 4e; backward 3e (4e where it adds).
// A group of threads a row, which comes once from memory and again from registers or cache.
// The variance is summed around the mean in a second pass over registers: Σs² - (Σs)²/n cancels where the mean is large.
// dweight, dbias: each group sums the rows it meets in registers and writes one row of partials [groups, width], which partials.cu adds in order.
#include "core/row.cuh"

template <class T, int N>
DEVICE void layernorm_forward(const T* x, const T* residual, const float* weight, const float* bias, float eps, T* sum, T* y, float* mean, float* rstd,
    int64_t rows, int width, int threads) {
    SHARED(float, scratch, kRowThreads / kWarp);
    const RowGroup group(threads);
    const int64_t row = (int64_t)blockIdx.x * group.count() + group.group, first = row * width;
    const int columns = row < rows ? width : 0;
    const T* source = residual ? sum : x;

    Chunk<T, N> held[kHeld];
    float total = 0;
    for_each_chunk<N>(group, columns, held, [&](Chunk<T, N>& chunk, int column, bool) {
        chunk = load_sum<N>(x, residual, sum, first + column);
#pragma unroll
        for (int i = 0; i < N; i++) total += to_float(chunk.values[i]);
    });
    const float center = group_sum(total, group, scratch) / width;

    float squares = 0;
    for_each_chunk<N>(group, columns, held, [&](Chunk<T, N>& chunk, int column, bool is_held) {
        if (!is_held) chunk = load_chunk<N>(source + first + column);
#pragma unroll
        for (int i = 0; i < N; i++) squares += (to_float(chunk.values[i]) - center) * (to_float(chunk.values[i]) - center);
    });
    const float scale = 1.0f / sqrtf(group_sum(squares, group, scratch) / width + eps);
    if (row < rows && group.thread == 0) {
        mean[row] = center;
        rstd[row] = scale;
    }

    for_each_chunk<N>(group, columns, held, [&](Chunk<T, N>& chunk, int column, bool is_held) {
        if (!is_held) chunk = load_chunk<N>(source + first + column);
        const Chunk<float, N> w = load_chunk<N>(weight + column), b = bias ? load_chunk<N>(bias + column) : Chunk<float, N>{};
#pragma unroll
        for (int i = 0; i < N; i++) chunk.values[i] = from_float<T>((to_float(chunk.values[i]) - center) * scale * w.values[i] + b.values[i]);
        store_chunk(y + first + column, chunk);
    });
}

// What a thread's columns of dy add to dweight and dbias.
template <int N>
struct LayerNormSums {
    Chunk<float, N> dweight, dbias;
};

template <class T, int N>
DEVICE void layernorm_backward(const T* dy, const T* x, const float* weight, const float* mean, const float* rstd, T* dx, int accumulate, float* dweight,
    float* dbias, int64_t rows, int width, int threads) {
    SHARED(float, scratch, 2 * kRowThreads / kWarp);
    const RowGroup group(threads);
    // Of columns further right the sums are in the partial rows themselves, which no other thread touches there.
    LayerNormSums<N> held[kHeld / 2] = {};
    const int64_t partial = ((int64_t)blockIdx.x * group.count() + group.group) * width;
    for_each_chunk<N>(group, width, held, [&](LayerNormSums<N>&, int column, bool is_held) {
        if (dweight && !is_held) store_chunk(dweight + partial + column, Chunk<float, N>{});
        if (dbias && !is_held) store_chunk(dbias + partial + column, Chunk<float, N>{});
    });

    for (int64_t base = (int64_t)blockIdx.x * group.count(); base < rows; base += (int64_t)gridDim.x * group.count()) {
        const int64_t row = base + group.group, first = row * width;
        const int columns = row < rows ? width : 0;
        const float center = row < rows ? mean[row] : 0.0f, scale = row < rows ? rstd[row] : 0.0f;
        float dots[2] = {};
        for_each_chunk<N>(group, columns, held, [&](LayerNormSums<N>&, int column, bool) {
            const Chunk<T, N> gradient = load_chunk<N>(dy + first + column), s = load_chunk<N>(x + first + column);
            const Chunk<float, N> w = load_chunk<N>(weight + column);
#pragma unroll
            for (int i = 0; i < N; i++) {
                const float g = to_float(gradient.values[i]) * w.values[i];
                dots[0] += g;
                dots[1] += g * ((to_float(s.values[i]) - center) * scale);
            }
        });
        group_sum(dots, group, scratch);
        const float g_mean = dots[0] / width, gz_mean = dots[1] / width;
        for_each_chunk<N>(group, columns, held, [&](LayerNormSums<N>& sums, int column, bool is_held) {
            const Chunk<T, N> gradient = load_chunk<N>(dy + first + column), s = load_chunk<N>(x + first + column);
            const Chunk<T, N> before = accumulate ? load_chunk<N>(dx + first + column) : Chunk<T, N>{};
            const Chunk<float, N> w = load_chunk<N>(weight + column);
            if (dweight && !is_held) sums.dweight = load_chunk<N>(dweight + partial + column);
            if (dbias && !is_held) sums.dbias = load_chunk<N>(dbias + partial + column);
            Chunk<T, N> result;
#pragma unroll
            for (int i = 0; i < N; i++) {
                const float d = to_float(gradient.values[i]), z = (to_float(s.values[i]) - center) * scale;
                sums.dweight.values[i] += d * z;
                sums.dbias.values[i] += d;
                result.values[i] = from_float<T>((d * w.values[i] - g_mean - z * gz_mean) * scale + to_float(before.values[i]));
            }
            store_chunk(dx + first + column, result);
            if (dweight && !is_held) store_chunk(dweight + partial + column, sums.dweight);
            if (dbias && !is_held) store_chunk(dbias + partial + column, sums.dbias);
        });
    }

    for_each_chunk<N>(group, width, held, [&](LayerNormSums<N>& sums, int column, bool is_held) {
        if (dweight && is_held) store_chunk(dweight + partial + column, sums.dweight);
        if (dbias && is_held) store_chunk(dbias + partial + column, sums.dbias);
    });
}

#define LAYERNORM(type) \
    KERNEL(layernorm_forward_##type, kRowThreads, 3, const type* x, const type* residual, const float* weight, const float* bias, float eps, type* sum, \
        type* y, float* mean, float* rstd, int64_t rows, int width, int threads) { \
        constexpr int kCount = Packet<type>::kCount; \
        if (rows_of_chunks<kCount>(width, x, residual, weight, bias, sum, y)) \
            layernorm_forward<type, kCount>(x, residual, weight, bias, eps, sum, y, mean, rstd, rows, width, threads); \
        else \
            layernorm_forward<type, 1>(x, residual, weight, bias, eps, sum, y, mean, rstd, rows, width, threads); \
    } \
    KERNEL(layernorm_backward_##type, kRowThreads, 2, const type* dy, const type* x, const float* weight, const float* mean, const float* rstd, type* dx, \
        int accumulate, float* dweight, float* dbias, int64_t rows, int width, int threads) { \
        constexpr int kCount = Packet<type>::kCount; \
        if (rows_of_chunks<kCount>(width, dy, x, weight, dx, dweight, dbias)) \
            layernorm_backward<type, kCount>(dy, x, weight, mean, rstd, dx, accumulate, dweight, dbias, rows, width, threads); \
        else \
            layernorm_backward<type, 1>(dy, x, weight, mean, rstd, dx, accumulate, dweight, dbias, rows, width, threads); \
    }
LAYERNORM(f32)
LAYERNORM(f16)
LAYERNORM(bf16)
