// What the passes of attention share: arguments, rows of a block, which query sees which key, how logits come from scores.
#pragma once
#include "../core/warp.cuh"

constexpr int kMostOrdered = 1792;

// Of the same layout as AttentionArguments in CudaBackend.Attention.cs.
struct AttentionArguments {
    const int* cu_seqlens;  // [sequences + 1]
    const float* bias;      // [heads, 2 reach], log2(e) · relative bias of key - query at reach + key - query; null for none
    int sequences, tokens, heads, kv_heads, head_dim;
    int window_left, window_right;  // at most the longest sequence, which stands for no window
    int reach;                      // over the longest sequence and a tile
    float factor;                   // on q·k: scale · log2(e), or 2 · log2(e) · scale / cap with a cap
    float cap;                      // cap · log2(e), 0 for none
    float scale;                    // of gradients
    int vectors;                    // rows of q, k, v, o and their gradients are multiples of 16 bytes, at such addresses
};

constexpr float kLog2E = 1.44269504f, kLn2 = 0.69314718f;

// tanh of y, given x = 2 · log2(e) · y; without a branch, to about 1e-7, which is what counts in a logit.
DEVICE float tanh_approximate(float x) { return 1.0f - 2.0f * reciprocal_approximate(1.0f + exp2_approximate(x)); }

// The rows of one sequence that a block works on: from `first` on, of its `length`, which begins at token `start`.
struct AttentionRows {
    int start, length, first;
};

// Of the same layout as AttentionSlots in CudaBackend.Attention.cs.
struct AttentionOrder {
    int count;  // 0: the grid has all slots there may be
    uint16_t slots[kMostOrdered];  // of rows (find_rows), those with most to do first
};

// The slot of this block. Without an order the last come first where `descending`: what has most to do where attention is causal.
DEVICE int find_slot(const AttentionOrder& order, bool descending) {
    return order.count > 0 ? order.slots[blockIdx.x] : descending ? (int)(gridDim.x - 1 - blockIdx.x) : (int)blockIdx.x;
}

// Rows `slot` of all, of block_rows rows each. Sequence b has the slots from cu_seqlens[b] / block_rows + b on: enough for its rows, and now and then one
// more. So a grid of tokens / block_rows + sequences slots covers every row of every sequence whatever the lengths, and the host need not know them. False
// for a slot that is nobody's. All lanes call it.
DEVICE bool find_rows(const AttentionArguments& a, int block_rows, int slot, AttentionRows& rows) {
    int sequence = 0, count = a.sequences;
    while (count > 1) {
        int step = ceil_div(count, kWarp), tried = sequence + lane_index() * step;
        bool before = tried < sequence + count && (int)((uint32_t)a.cu_seqlens[tried] / (uint32_t)block_rows) + tried <= slot;
        int skipped = (__builtin_popcount(warp_ballot(before)) - 1) * step;
        sequence += skipped;
        count = min_of(step, count - skipped);
    }
    rows.start = a.cu_seqlens[sequence];
    rows.length = a.cu_seqlens[sequence + 1] - rows.start;
    rows.first = (slot - (int)((uint32_t)rows.start / (uint32_t)block_rows) - sequence) * block_rows;
    return rows.first < rows.length;
}

// Which columns rows see: column c is seen by row r where r - before <= c <= r + after. Rows are queries and columns keys, or the other way around.
struct AttentionWindow {
    int before, after, length;

    DEVICE int first(int row) const { return max_of(row - before, 0); }
    DEVICE int end(int row) const { return min_of(row + after + 1, length); }
    // Whether any of `rows` rows sees any of `columns` columns.
    DEVICE bool any(int row, int rows, int column, int columns) const {
        return row < length && column <= row + rows - 1 + after && column + columns - 1 >= row - before;
    }
    // Whether all of `rows` rows see all of `columns` columns.
    DEVICE bool all(int row, int rows, int column, int columns) const {
        return column + columns <= length && column + columns - 1 <= row + after && column >= row + rows - 1 - before;
    }
};

// -infinity for what a row does not see, of a warp's tile (tile.cuh) whose first element is (row, column).
template <int M, int N>
DEVICE void mask_tile(float (&c)[M][N][4], const AttentionWindow& window, int row, int column) {
    int lane = opaque(lane_index());
    row += lane / 4;
    column += lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int i = row + 16 * m + 8 * half, first = i - window.before - column, last = min_of(i + window.after + 1, window.length) - column;
#pragma unroll
            for (int n = 0; n < N; n++)
#pragma unroll
                for (int e = 0; e < 2; e++)
                    if (8 * n + e < first || 8 * n + e >= last) c[m][n][2 * half + e] = -kInfinity;
        }
    }
}

// f(c[m][n][e], row, column) for every element that this lane holds of a warp's tile (tile.cuh) whose first element is (row, column).
template <int M, int N, class F>
DEVICE void for_tile(float (&c)[M][N][4], int row, int column, const F& f) {
    int lane = opaque(lane_index());
    row += lane / 4;
    column += lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) f(c[m][n][e], row + 16 * m + e / 2 * 8, column + 8 * n + e % 2);
}
