// Rows of x [rows, width] F32 as bytes: scales[r] = max |x[r]| / 127, q[r] = round(x[r] / scales[r]) to nearest even; 0 with scale 0 for a row of zeros.
// Floor: 5 bytes an element. A group of threads a row, which comes once from memory and again from registers or cache.
#include "core/row.cuh"

template <int N>
DEVICE void quantizerows(const float* x, s8* q, float* scales, int64_t rows, int width, int threads) {
    SHARED(float, scratch, kRowThreads / kWarp);
    const RowGroup group(threads);
    const int64_t row = (int64_t)blockIdx.x * group.count() + group.group, first = row * width;
    const int columns = row < rows ? width : 0;
    Chunk<float, N> held[kHeld];
    float most = 0;
    for_each_chunk<N>(group, columns, held, [&](Chunk<float, N>& chunk, int column, bool) {
        chunk = load_chunk<N>(x + first + column);
#pragma unroll
        for (int i = 0; i < N; i++) most = fmaxf(most, fabsf(chunk.values[i]));
    });
    const float scale = group_max(most, group, scratch) / 127.0f;
    if (row < rows && group.thread == 0) scales[row] = scale;
    for_each_chunk<N>(group, columns, held, [&](Chunk<float, N>& chunk, int column, bool is_held) {
        if (!is_held) chunk = load_chunk<N>(x + first + column);
        Chunk<s8, N> bytes;
        // Above 127 only where the scale is so small that it lost digits.
#pragma unroll
        for (int i = 0; i < N; i++) bytes.values[i] = scale == 0 ? 0 : (s8)fminf(fmaxf(rintf(chunk.values[i] / scale), -127.0f), 127.0f);
        store_chunk(q + first + column, bytes);
    });
}

KERNEL(quantizerows_f32, kRowThreads, 4, const float* x, s8* q, float* scales, int64_t rows, int width, int threads) {
    if (rows_of_chunks<4>(width, x, q))
        quantizerows<4>(x, q, scales, rows, width, threads);
    else
        quantizerows<1>(x, q, scales, rows, width, threads);
}
