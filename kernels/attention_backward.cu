// Attention, backward: dq, dk, dv and the gradient of a relative bias from do, with the scores computed again from q, k and lse (Dao 2023).
//
//   delta[i] = do[i]·o[i]                      p[i, j] = exp(l[i, j] - lse[i]),  l as in attention_forward.cu
//   ds[i, j] = p[i, j] (do[i]·v[j] - delta[i])
//   dv[j] = Σ_i p[i, j] do[i]      dq[i] = scale · Σ_j ds c k[j]      dk[j] = scale · Σ_i ds c q[i]      dbias[j - i] += ds
//
// with c = 1 - tanh² the slope of the soft cap. Two kernels and no atomics, so that the same inputs give the same bits: one has blocks of keys, which walk the
// queries that see them, for all query heads that share the key head; the other has blocks of queries, which walk their keys. That is 7 products where 5 are
// needed: 14 · pairs · head_dim FLOPs for each head, causal half as many; bytes: q, k, v, do twice, dq, dk, dv once. 16 sequences × 512 tokens, 32 heads × 128,
// causal: 120 GFLOP, 1.0 ms on an A100.
//
// Both kernels are one template. A block has 16 M · Groups `rows` (keys, or queries) and streams `columns` (queries, or keys) in tiles of 8 N, the next tile
// on its way while one is worked on. Warps own 16 M rows, so that probabilities and ds stay in registers as the left side of the products that follow. With
// Split = 2 two warps share rows and compute the same probabilities, each for half of the columns of dk and dv, whose sums would not fit into one's registers.
#include "attention/problem.cuh"
#include "attention/tile.cuh"

struct AttentionGradients {
    const void *q, *k, *v, *d_o;
    const float *lse, *delta;  // [heads, tokens]
    void *dq, *dk, *dv;
    float* bias_parts;  // [slots · Groups, heads, part_width]: sums of ds of one warp's queries by distance; null for none
    int part_width;     // over the longest sequence, a tile and a warp's rows
};

// Adds the sums of ds [16 M, 8 N] along its diagonals: sums[x] to the one where column - row = x - 16 M + 1.
template <int M, int N, int Stride>
DEVICE void add_diagonals(const float* ds, float* sums) {
#pragma unroll 1
    for (int x = lane_index(); x < 16 * M + 8 * N - 1; x += kWarp) {
        float sum = 0.0f;
#pragma unroll 1
        for (int j = max_of(0, x - 16 * M + 1); j < min_of(8 * N, x + 1); j++) sum += ds[(j - x + 16 * M - 1) * Stride + j];
        sums[x] += sum;
    }
    sync_warp();
}

template <class T, int D, int M, int Groups, int Split, int N, bool RowsAreKeys>
DEVICE void attention_backward(const AttentionArguments& a, const AttentionGradients& g, int slot, unsigned char* shared) {
    constexpr int kThreads = kWarp * Groups * Split, kWarpRows = 16 * M, kRows = kWarpRows * Groups, kColumns = 8 * N, kStride = kTileStride<T, D>;
    constexpr int kTile = kColumns * kStride, kSlice = D / Split;
    AttentionRows rows;
    if (!find_rows(a, kRows, slot, rows)) return;
    int warp = shuffle(warp_index(), 0), group = warp % Groups, first_column = warp / Groups * kSlice;
    T* first_tile = reinterpret_cast<T*>(shared);       // k, or q
    T* second_tile = first_tile + kRows * kStride;      // v, or do
    T* ring = second_tile + kRows * kStride;            // two stages of (q, do), or (k, v)
    float* scratch = reinterpret_cast<float*>(ring + 4 * kTile) + warp * kScratchFloats<T, M, N>;

    int heads_per_key = a.heads / a.kv_heads;
    int row_stride = (RowsAreKeys ? a.kv_heads : a.heads) * a.head_dim, column_stride = (RowsAreKeys ? a.heads : a.kv_heads) * a.head_dim;
    int row_head = (int)blockIdx.y, column_head = RowsAreKeys ? row_head * heads_per_key : row_head / heads_per_key;
    const AttentionWindow window = {RowsAreKeys ? a.window_right : a.window_left, RowsAreKeys ? a.window_left : a.window_right, rows.length};
    int last_row = min_of(rows.first + kRows, rows.length) - 1;
    int first = window.first(rows.first) / kColumns * kColumns, end = window.end(last_row);
    // A step is a tile of columns; where rows are keys, of one query head after the other.
    int tiles = ceil_div(end - first, kColumns), steps = RowsAreKeys ? tiles * heads_per_key : tiles;
    auto head_of = [&](int step) { return RowsAreKeys ? column_head + step / tiles : column_head; };
    auto column_of = [&](int step) { return first + (RowsAreKeys ? step % tiles : step) * kColumns; };
    int row = rows.first + group * kWarpRows;

    auto load_rows = [&](T* to, const void* from) {
        const T* source = static_cast<const T*>(from) + (int64_t)(rows.start + rows.first) * row_stride + row_head * a.head_dim;
        load_tile<T, D, kRows, kThreads>(to, source, row_stride, rows.length - rows.first, a.head_dim, a.vectors);
    };
    auto load_columns = [&](int step) {
        int column = column_of(step), count = rows.length - column;
        int64_t offset = (int64_t)(opaque(rows.start) + column) * column_stride + head_of(step) * a.head_dim;
        const T *first_source = static_cast<const T*>(RowsAreKeys ? g.q : g.k), *second_source = static_cast<const T*>(RowsAreKeys ? g.d_o : g.v);
        T* to = ring + step % 2 * 2 * kTile;
        load_tile<T, D, kColumns, kThreads>(to, first_source + offset, column_stride, count, a.head_dim, a.vectors);
        load_tile<T, D, kColumns, kThreads>(to + kTile, second_source + offset, column_stride, count, a.head_dim, a.vectors);
        copy_async_commit();
    };
    load_rows(first_tile, RowsAreKeys ? g.k : g.q);
    load_rows(second_tile, RowsAreKeys ? g.v : g.d_o);
    load_columns(0);

    // log2(e) · lse and delta of query i of a head. A query that sees nothing, or is past the end, has powers of 0.
    auto read_lse = [&](int head, int i) {
        float lse = i < rows.length ? (g.lse + (int64_t)head * a.tokens + opaque(rows.start))[i] : kInfinity;
        return lse == -kInfinity ? kInfinity : lse * kLog2E;
    };
    auto read_delta = [&](int head, int i) { return i < rows.length ? (g.delta + (int64_t)head * a.tokens + opaque(rows.start))[i] : 0.0f; };

    // Of the queries among this lane's rows; where rows are keys, of the queries among its columns, step by step.
    constexpr int kQueries = RowsAreKeys ? 2 * N : 2 * M;
    float lse[kQueries], delta[kQueries];
    if constexpr (!RowsAreKeys) {
#pragma unroll
        for (int i = 0; i < kQueries; i++) {
            lse[i] = read_lse(row_head, row + lane_index() / 4 + i * 8);
            delta[i] = read_delta(row_head, row + lane_index() / 4 + i * 8);
        }
    }
    float* bias_part = nullptr;
    if (!RowsAreKeys && g.bias_parts != nullptr && row < rows.length && warp < Groups) {
        bias_part = g.bias_parts + ((int64_t)(slot * Groups + group) * a.heads + row_head) * g.part_width;
        for (int i = lane_index(); i < g.part_width; i += kWarp) bias_part[i] = 0.0f;
    }

    float sum[M][kSlice / 8][4] = {}, sum_v[RowsAreKeys ? M : 1][RowsAreKeys ? kSlice / 8 : 1][4] = {};
#pragma unroll 1
    for (int step = 0; step < steps; step++) {
        copy_async_wait<0>();
        sync_block();
        if (step + 1 < steps) load_columns(step + 1);
        int head = head_of(step), column = column_of(step);
        if (window.any(row, kWarpRows, column, kColumns)) {
            const T* column_first = ring + step % 2 * 2 * kTile;
            const T* column_second = column_first + kTile;
            float p[M][N][4] = {}, ds[M][N][4];
            int lane = opaque(lane_index());
            multiply_transposed<T, D>(p, first_tile + group * kWarpRows * kStride, column_first);
            if constexpr (RowsAreKeys) {
#pragma unroll
                for (int i = 0; i < kQueries; i++) {
                    lse[i] = read_lse(head, column + lane % 4 * 2 + i / 2 * 8 + i % 2);
                    delta[i] = read_delta(head, column + lane % 4 * 2 + i / 2 * 8 + i % 2);
                }
            }
            // The sum of do·v begins with -delta, so that delta takes no register for longer.
#pragma unroll
            for (int m = 0; m < M; m++)
#pragma unroll
                for (int n = 0; n < N; n++)
#pragma unroll
                    for (int e = 0; e < 4; e++) ds[m][n][e] = -delta[RowsAreKeys ? 2 * n + e % 2 : 2 * m + e / 2];
            multiply_transposed<T, D>(ds, second_tile + group * kWarpRows * kStride, column_second);
            for_tile(p, row, column, [&](float& logit, int, int) { logit *= a.factor; });
            if (!window.all(row, kWarpRows, column, kColumns)) mask_tile(p, window, row, column);
            const float* bias = a.bias == nullptr ? nullptr : a.bias + ((int64_t)(RowsAreKeys ? head : row_head) * 2 + 1) * a.reach;
            bool sums_bias = !RowsAreKeys && bias_part != nullptr;
#pragma unroll
            for (int m = 0; m < M; m++) {
#pragma unroll
                for (int n = 0; n < N; n++) {
#pragma unroll
                    for (int e = 0; e < 4; e++) {
                        int query = RowsAreKeys ? 2 * n + e % 2 : 2 * m + e / 2;
                        int at_row = 16 * m + lane / 4 + e / 2 * 8, at_column = 8 * n + lane % 4 * 2 + e % 2;
                        float logit = p[m][n][e], slope = 1.0f;
                        if (a.cap > 0.0f && logit != -kInfinity) {
                            float tanh = tanh_approximate(logit);
                            slope = 1.0f - tanh * tanh;
                            logit = a.cap * tanh;
                        }
                        if (bias != nullptr) logit += bias[RowsAreKeys ? row + at_row - column - at_column : column + at_column - row - at_row];
                        p[m][n][e] = exp2_approximate(logit - lse[query]);
                        ds[m][n][e] *= p[m][n][e];
                        if (sums_bias) scratch[at_row * kScratchStride<T, N> + at_column] = ds[m][n][e];
                        ds[m][n][e] *= slope;
                    }
                }
            }
            if (sums_bias) {
                sync_warp();
                add_diagonals<M, N, kScratchStride<T, N>>(scratch, bias_part + column);
            }
            if constexpr (RowsAreKeys) {
                LeftSide<T, M, N> left(p, scratch);
                multiply<T, D, kSlice>(sum_v, left, column_second + first_column);
            }
            LeftSide<T, M, N> left(ds, scratch);
            multiply<T, D, kSlice>(sum, left, column_first + first_column);
        }
    }

#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int n = 0; n < kSlice / 8; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) sum[m][n][e] *= a.scale;
    // Rows of a tile are read by the warps that share them.
    if (Split > 1) sync_block();
    auto store = [&](void* to, const auto& c, T* tile) {
        T* destination = static_cast<T*>(to) + (int64_t)(opaque(rows.start) + row) * row_stride + row_head * a.head_dim;
        store_rows<T, D, kSlice>(c, tile + group * kWarpRows * kStride, first_column, destination, row_stride, rows.length - row, a.head_dim, a.vectors);
    };
    store(RowsAreKeys ? g.dk : g.dq, sum, first_tile);
    if constexpr (RowsAreKeys) store(g.dv, sum_v, second_tile);
}

// delta [heads, tokens] = Σ do ∘ o over head_dim: eight lanes a row, in packets where rows stand at 16-byte borders.
template <class T>
DEVICE void attention_delta(const T* d_o, const T* o, float* delta, int tokens, int heads, int head_dim, bool vectors) {
    constexpr int kLanes = 8, kPacket = Packet<T>::kCount;
    int64_t row = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / kLanes;
    int lane = (int)threadIdx.x % kLanes;
    bool inside = row < (int64_t)tokens * heads;
    d_o += row * head_dim;
    o += row * head_dim;
    float sum = 0.0f;
    if (inside && vectors) {
#pragma unroll 2
        for (int i = lane * kPacket; i < head_dim; i += kLanes * kPacket) {
            Packet<T> left = load_packet(d_o + i), right = load_packet(o + i);
#pragma unroll
            for (int e = 0; e < kPacket; e++) sum += to_float(left.values[e]) * to_float(right.values[e]);
        }
    } else if (inside) {
#pragma unroll 1
        for (int i = lane; i < head_dim; i += kLanes) sum += to_float(d_o[i]) * to_float(o[i]);
    }
#pragma unroll
    for (int mask = 1; mask < kLanes; mask *= 2) sum += shuffle_xor(sum, mask);
    if (inside && lane == 0) delta[row % heads * tokens + row / heads] = sum;
}
#define ATTENTION_DELTA(T) \
    KERNEL(attention_delta_##T, 256, 4, const T* d_o, const T* o, float* delta, int tokens, int heads, int head_dim, int vectors) { \
        attention_delta(d_o, o, delta, tokens, heads, head_dim, vectors); \
    }
ATTENTION_DELTA(f32)
ATTENTION_DELTA(f16)
ATTENTION_DELTA(bf16)

// dbias [buckets, heads] += the parts, block (bucket, head): warps take parts in turn, so that the order of the sum is always the same. buckets [2 reach] as in
// attention_bias_table.
KERNEL(attention_bias_gradient, 256, 4, AttentionArguments a, const float* parts, int part_width, const int* buckets, float* dbias, int slots, int block_rows,
       int warp_rows) {
    SHARED(float, sums, 256 / kWarp);
    int bucket = (int)blockIdx.x, head = (int)blockIdx.y, groups = block_rows / warp_rows;
    float sum = 0.0f;
    for (int slot = warp_index(); slot < slots; slot += 256 / kWarp) {
        AttentionRows rows;
        if (!find_rows(a, block_rows, slot, rows)) continue;
        for (int group = 0; group < groups; group++) {
            int row = rows.first + group * warp_rows;
            if (row >= rows.length) break;
            const float* part = parts + ((int64_t)(slot * groups + group) * a.heads + head) * part_width;
            const int* bucket_of = buckets + a.reach - row - warp_rows + 1;
            for (int i = lane_index(); i < part_width; i += kWarp)
                if (bucket_of[i] == bucket) sum += part[i];
        }
    }
    sum = block_sum<256>(sum, sums);
    if (threadIdx.x == 0) dbias[bucket * a.heads + head] += sum;
}

// Tiles: head_dim, M, groups, splits of the block that has keys and of the one that has queries, N. AttentionTiles.cs has the same.
#define ATTENTION_BACKWARD(T, D, M, Groups, KeySplit, QuerySplit, N) \
    KERNEL(attention_backward_keys_##T##_##D, kWarp * Groups * KeySplit, KeySplit == 1 ? 2 : 1, AttentionArguments a, AttentionGradients g, \
        AttentionOrder order) { \
        SHARED_DYNAMIC(shared); \
        attention_backward<T, D, M, Groups, KeySplit, N, true>(a, g, find_slot(order, false), shared); \
    } \
    KERNEL(attention_backward_queries_##T##_##D, kWarp * Groups * QuerySplit, 2, AttentionArguments a, AttentionGradients g, AttentionOrder order) { \
        SHARED_DYNAMIC(shared); \
        attention_backward<T, D, M, Groups, QuerySplit, N, false>(a, g, find_slot(order, true), shared); \
    }
#define ATTENTION_BACKWARD_HALF(T) \
    ATTENTION_BACKWARD(T, 32, 2, 4, 1, 1, 4) \
    ATTENTION_BACKWARD(T, 64, 2, 4, 1, 1, 4) \
    ATTENTION_BACKWARD(T, 96, 1, 4, 1, 1, 4) \
    ATTENTION_BACKWARD(T, 128, 1, 4, 1, 1, 4) \
    ATTENTION_BACKWARD(T, 256, 1, 4, 2, 1, 2)
ATTENTION_BACKWARD_HALF(bf16)
ATTENTION_BACKWARD_HALF(f16)
ATTENTION_BACKWARD(f32, 64, 1, 4, 1, 1, 4)
ATTENTION_BACKWARD(f32, 128, 1, 2, 1, 1, 2)
ATTENTION_BACKWARD(f32, 256, 1, 1, 2, 2, 1)
