// One AdamW step (Loshchilov, Hutter 2019; as torch.optim.AdamW) on parameter, m and v, all F32 [count]; in float32, the constants made on the host in double:
//   g = gradient · min(1, max_norm / (√sum_of_squares + 1e-6)), where max_norm > 0;  m += (g - m) (1 - β1);  v = v β2 + g² (1 - β2)
//   parameter = parameter · decay - m · step_size / (√v · root_correction + ε)
// sum_of_squares is read here, so that the host need not wait for it. Floor: 28 bytes an element.
#include "core/row.cuh"

constexpr int kThreads = kRowThreads;

struct AdamWConstants {
    float decay, step_size, root_correction, epsilon, one_minus_beta1, beta2, one_minus_beta2, max_norm;
};

template <int N>
DEVICE void adamw(float* parameter, const float* gradient, float* m, float* v, const AdamWConstants& c, float clip, int64_t begin, int64_t end) {
    for (int64_t i = begin + ((int64_t)blockIdx.x * kThreads + threadIdx.x) * N; i < end; i += (int64_t)gridDim.x * kThreads * N) {
        Chunk<float, N> p = load_chunk<N>(parameter + i), first = load_chunk<N>(m + i), second = load_chunk<N>(v + i);
        const Chunk<float, N> gradients = load_chunk<N>(gradient + i);
#pragma unroll
        for (int j = 0; j < N; j++) {
            const float g = gradients.values[j] * clip;
            first.values[j] += (g - first.values[j]) * c.one_minus_beta1;
            second.values[j] = second.values[j] * c.beta2 + g * g * c.one_minus_beta2;
            p.values[j] = p.values[j] * c.decay - first.values[j] * c.step_size / (sqrtf(second.values[j]) * c.root_correction + c.epsilon);
        }
        store_chunk(parameter + i, p);
        store_chunk(m + i, first);
        store_chunk(v + i, second);
    }
}

KERNEL(adamw_f32, kThreads, 4, float* parameter, const float* gradient, float* m, float* v, AdamWConstants constants, const float* sum_of_squares,
    int64_t count) {
    const float clip = constants.max_norm > 0 ? fminf(1.0f, constants.max_norm / (sqrtf(*sum_of_squares) + 1e-6f)) : 1.0f;
    const int64_t whole = address_bits(parameter, gradient, m, v) % 16 == 0 ? count / 4 * 4 : 0;
    adamw<4>(parameter, gradient, m, v, constants, clip, 0, whole);
    adamw<1>(parameter, gradient, m, v, constants, clip, whole, count);
}
