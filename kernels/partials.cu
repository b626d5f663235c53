// destination [width] += Σ over p of partials [count, width], always in the same order: the end of sums that many blocks began.
// Floor: 4 bytes a partial. A block has 32 columns; its 8 warps take every eighth row each, and their sums are added in order.
#include "core/warp.cuh"

constexpr int kThreads = 256, kRows = kThreads / kWarp;

KERNEL(partials_add, kThreads, 4, const float* partials, float* destination, int count, int width) {
    SHARED(float, sums, kThreads);
    const int column = (int)blockIdx.x * kWarp + lane_index();
    float sum = 0;
    if (column < width)
        for (int p = warp_index(); p < count; p += kRows) sum += partials[(int64_t)p * width + column];
    sums[threadIdx.x] = sum;
    sync_block();
    if (warp_index() > 0 || column >= width) return;
#pragma unroll
    for (int i = 1; i < kRows; i++) sum += sums[i * kWarp + lane_index()];
    destination[column] += sum;
}
