// Attention, forward, over packed sequences (Dao et al. 2022; Dao 2023; running softmax: Milakov, Gimelshein 2018).
//
//   o[i] = Σ_j p[i, j] v[j],  p = softmax over the keys j that query i sees of  l[i, j] = cap(scale · q[i]·k[j]) + bias[j - i]
//   lse[i] = log Σ_j exp(l[i, j]), saved for the backward pass
//
// q, o [tokens, heads, head_dim], k, v [tokens, kv_heads, head_dim], lse [heads, tokens] float32. No tokens × tokens matrix is kept. 4 · pairs · head_dim
// FLOPs for each head, causal half as many; bytes: q, k, v, o once. 16 sequences × 512 tokens, 32 heads × 128, causal: 34 GFLOP, 268 MB, 0.29 ms on an A100
// at 120 TFLOP/s. The limit is tensor cores; at head_dim 64 also one exponential for each score.
//
// A block has 16 M · Warps queries of one head, its warps split them and never exchange anything. Keys and values come in tiles of 8 N, from the last to the
// first: the values of a tile travel while its scores are computed, the keys of the next while its softmax is. Logits are in units of log2(e). A query that
// sees nothing but -infinity gives o = 0 and lse = -infinity.
#include "attention/problem.cuh"
#include "attention/tile.cuh"

// What exp2 is taken of: powers of the scores under the running maximum; sums of this lane's columns and the output are rescaled where it rises.
// `multiplier` stands for the scale where nothing comes between scores and softmax: it then costs nothing.
template <int M, int N, int P>
DEVICE void softmax(float (&scores)[M][N][4], float multiplier, float (&maximum)[M][2], float (&sum)[M][2], float (&output)[M][P][4]) {
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float top = maximum[m][half];
#pragma unroll
            for (int n = 0; n < N; n++) top = fmaxf(top, fmaxf(scores[m][n][2 * half], scores[m][n][2 * half + 1]));
            top = fmaxf(top, shuffle_xor(top, 1));
            top = fmaxf(top, shuffle_xor(top, 2));
            // A query that saw nothing yet has a maximum of -infinity; anything finite keeps its powers at 0.
            float origin = top == -kInfinity ? 0.0f : top * multiplier;
            float rescale = exp2_approximate(maximum[m][half] * multiplier - origin);
            maximum[m][half] = top;
            sum[m][half] *= rescale;
#pragma unroll
            for (int n = 0; n < N; n++) {
#pragma unroll
                for (int e = 2 * half; e < 2 * half + 2; e++) {
                    scores[m][n][e] = exp2_approximate(scores[m][n][e] * multiplier - origin);
                    sum[m][half] += scores[m][n][e];
                }
            }
#pragma unroll
            for (int n = 0; n < P; n++) {
                output[m][n][2 * half] *= rescale;
                output[m][n][2 * half + 1] *= rescale;
            }
        }
    }
}

template <class T, int D, int M, int Warps, int N>
DEVICE void attention_forward(const AttentionArguments& a, const T* q, const T* k, const T* v, T* o, float* lse, int slot,
                              unsigned char* shared) {
    constexpr int kThreads = kWarp * Warps, kWarpRows = 16 * M, kRows = kWarpRows * Warps, kKeys = 8 * N, kStride = kTileStride<T, D>;
    AttentionRows rows;
    if (!find_rows(a, kRows, slot, rows)) return;
    T* q_tile = reinterpret_cast<T*>(shared);
    T* k_tile = q_tile + kRows * kStride;
    T* v_tile = k_tile + kKeys * kStride;
    float* scratch = reinterpret_cast<float*>(v_tile + kKeys * kStride) + warp_index() * kScratchFloats<T, M, N>;

    int head = (int)blockIdx.y, q_stride = a.heads * a.head_dim, k_stride = a.kv_heads * a.head_dim;
    const AttentionWindow window = {a.window_left, a.window_right, rows.length};
    int last_row = min_of(rows.first + kRows, rows.length) - 1;
    int first_tile = window.first(rows.first) / kKeys, tile = (window.end(last_row) - 1) / kKeys;
    int warp = shuffle(warp_index(), 0), row = rows.first + warp * kWarpRows;

    auto load_keys = [&](T* to, const T* from, int key) {
        from += (int64_t)(opaque(rows.start) + key) * k_stride + head / (a.heads / a.kv_heads) * a.head_dim;
        load_tile<T, D, kKeys, kThreads>(to, from, k_stride, rows.length - key, a.head_dim, a.vectors);
        copy_async_commit();
    };
    load_tile<T, D, kRows, kThreads>(q_tile, q + (int64_t)(rows.start + rows.first) * q_stride + head * a.head_dim, q_stride, rows.length - rows.first,
                                     a.head_dim, a.vectors);
    load_keys(k_tile, k, tile * kKeys);

    bool plain = a.cap == 0.0f && a.bias == nullptr && a.factor > 0.0f;
    float output[M][D / 8][4] = {}, sum[M][2] = {}, maximum[M][2];
#pragma unroll
    for (int m = 0; m < M; m++) maximum[m][0] = maximum[m][1] = -kInfinity;
#pragma unroll 1
    for (; tile >= first_tile; tile--) {
        int key = tile * kKeys;
        bool any = window.any(row, kWarpRows, key, kKeys);
        float scores[M][N][4] = {};
        copy_async_wait<0>();
        sync_block();
        load_keys(v_tile, v, key);
        if (any) multiply_transposed<T, D>(scores, q_tile + warp * kWarpRows * kStride, k_tile);
        if (any) {
            if (!plain) {
                const float* bias = a.bias == nullptr ? nullptr : a.bias + ((int64_t)opaque(head) * 2 + 1) * a.reach;
                for_tile(scores, row, key, [&](float& s, int i, int j) {
                    s *= a.factor;
                    if (a.cap > 0.0f) s = a.cap * tanh_approximate(s);
                    if (bias != nullptr) s += bias[j - i];
                });
            }
            if (!window.all(row, kWarpRows, key, kKeys)) mask_tile(scores, window, row, key);
            softmax(scores, plain ? a.factor : 1.0f, maximum, sum, output);
        }
        LeftSide<T, M, N> powers(scores, scratch);
        copy_async_wait<0>();
        sync_block();
        if (tile > first_tile) load_keys(k_tile, k, key - kKeys);
        if (any) multiply<T, D, D>(output, powers, v_tile);
    }

#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float total = sum[m][half];
            total += shuffle_xor(total, 1);
            total += shuffle_xor(total, 2);
            float inverse = total == 0.0f ? 0.0f : reciprocal_approximate(total);
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                output[m][n][2 * half] *= inverse;
                output[m][n][2 * half + 1] *= inverse;
            }
            int i = row + 16 * m + 8 * half + lane_index() / 4;
            if (lane_index() % 4 == 0 && i < rows.length) {
                float logarithm = total == 0.0f ? -kInfinity : maximum[m][half] * (plain ? a.factor : 1.0f) * kLn2 + logf(total);
                lse[(int64_t)head * a.tokens + rows.start + i] = logarithm;
            }
        }
    }
    o += (int64_t)(opaque(rows.start) + row) * q_stride + head * a.head_dim;
    store_rows<T, D, D>(output, q_tile + warp * kWarpRows * kStride, 0, o, q_stride, rows.length - row, a.head_dim, a.vectors);
}

// table [heads, 2 reach]: log2(e) · bias [buckets, heads] of every distance key - query from -reach to reach - 1, whose buckets the host computed.
KERNEL(attention_bias_table, 256, 1, const float* bias, const int* buckets, float* table, int reach) {
    int distance = (int)(blockIdx.x * blockDim.x + threadIdx.x), head = (int)blockIdx.y, heads = (int)gridDim.y;
    if (distance < 2 * reach) table[(int64_t)head * 2 * reach + distance] = bias[(int64_t)buckets[distance] * heads + head] * kLog2E;
}

// Tiles: head_dim, M, warps, N. CudaBackend.AttentionTiles.cs has the same.
#define ATTENTION_FORWARD(T, D, M, Warps, N, blocks) \
    KERNEL(attention_forward_##T##_##D, kWarp * Warps, blocks, AttentionArguments a, const T* q, const T* k, const T* v, T* o, float* lse, \
        AttentionOrder order) { \
        SHARED_DYNAMIC(shared); \
        attention_forward<T, D, M, Warps, N>(a, q, k, v, o, lse, find_slot(order, true), shared); \
    }
#define ATTENTION_FORWARD_HALF(T) \
    ATTENTION_FORWARD(T, 32, 2, 4, 8, 2) \
    ATTENTION_FORWARD(T, 64, 2, 4, 8, 2) \
    ATTENTION_FORWARD(T, 96, 2, 4, 8, 2) \
    ATTENTION_FORWARD(T, 128, 2, 4, 6, 2) \
    ATTENTION_FORWARD(T, 256, 1, 4, 8, 2)
ATTENTION_FORWARD_HALF(bf16)
ATTENTION_FORWARD_HALF(f16)
ATTENTION_FORWARD(f32, 64, 1, 4, 4, 2)
ATTENTION_FORWARD(f32, 128, 1, 4, 4, 2)
ATTENTION_FORWARD(f32, 256, 1, 2, 2, 2)
