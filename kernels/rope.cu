// Rotary position embedding in place (Su et al. 2021, half-split layout), and its gradient, the rotation back.
//
//   (x[i], x[i + half]) ← (x[i] cos - x[i + half] sin, x[i + half] cos + x[i] sin),  i < half, cos and sin of row positions[token]
//
// x [tokens, heads, head_dim], positions [tokens], cos, sin [P, half] float32; elements from 2 half on stay. Floor: 2 half elements of each head read and
// written: q and k of 8192 tokens × 32 heads × 128 in bf16: 268 MB, 0.06 ms on an H200. A thread rotates a packet of pairs in several heads of a token, so
// that cosines and sines are read once for all of them.
#include "core/warp.cuh"

constexpr int kHeads = 4;

template <int N, class T>
DEVICE void load(T (&values)[N], const T* x) {
    if constexpr (N == 1) {
        values[0] = x[0];
    } else {
#pragma unroll
        for (int i = 0; i < N; i += Packet<T>::kCount) {
            Packet<T> packet = load_packet(x + i);
#pragma unroll
            for (int e = 0; e < Packet<T>::kCount; e++) values[i + e] = packet.values[e];
        }
    }
}
template <int N, class T>
DEVICE void store(T* x, const T (&values)[N]) {
    if constexpr (N == 1) {
        x[0] = values[0];
    } else {
        Packet<T> packet;
#pragma unroll
        for (int e = 0; e < N; e++) packet.values[e] = values[e];
        store_packet(x, packet);
    }
}

// N pairs: one, or a packet where half, head_dim and all addresses are multiples of 16 bytes. The grid has tokens · half / N threads in x and the heads in y.
template <int N, class T>
DEVICE void rope(T* x, const int* positions, const float* cosines, const float* sines, float sign, int64_t tokens, int heads, int head_dim, int half) {
    int64_t thread = (int64_t)blockIdx.x * blockDim.x + threadIdx.x, token = thread / (half / N);
    if (token >= tokens) return;
    int i = (int)(thread - token * (half / N)) * N, head = (int)blockIdx.y * kHeads, count = min_of(heads - head, kHeads);
    int64_t row = (int64_t)positions[token] * half + i;
    float cosine[N], sine[N];
    load(cosine, cosines + row);
    load(sine, sines + row);
    x += (token * heads + head) * head_dim + i;
    T low[kHeads][N], high[kHeads][N];
#pragma unroll
    for (int h = 0; h < kHeads; h++) {
        if (h >= count) continue;
        load(low[h], x + h * head_dim);
        load(high[h], x + h * head_dim + half);
    }
#pragma unroll
    for (int h = 0; h < kHeads; h++) {
        if (h >= count) continue;
#pragma unroll
        for (int e = 0; e < N; e++) {
            float a = to_float(low[h][e]), b = to_float(high[h][e]), s = sine[e] * sign;
            low[h][e] = from_float<T>(a * cosine[e] - b * s);
            high[h][e] = from_float<T>(b * cosine[e] + a * s);
        }
        store(x + h * head_dim, low[h]);
        store(x + h * head_dim + half, high[h]);
    }
}

#define ROPE(name, T, N) \
    KERNEL(rope_##name##_##T, 256, 2, T* x, const int* positions, const float* cosines, const float* sines, float sign, int64_t tokens, int heads, \
           int head_dim, int half) { \
        rope<N>(x, positions, cosines, sines, sign, tokens, heads, head_dim, half); \
    }
ROPE(packets, f32, 4)
ROPE(packets, f16, 8)
ROPE(packets, bf16, 8)
ROPE(pairs, f32, 1)
ROPE(pairs, f16, 1)
ROPE(pairs, bf16, 1)
