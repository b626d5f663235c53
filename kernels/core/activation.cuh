// Non-linearities in float32, numbered as the enum Activation of C#: for element-wise kernels and for what other kernels do to a value before it is stored.
#pragma once
#include "types.cuh"

constexpr int kActivationNone = 0, kActivationSilu = 1, kActivationGeluErf = 2, kActivationGeluTanh = 3, kActivationRelu = 4, kActivationTanh = 5;

// σ(x), and 1 - σ(x) with all its digits; neither overflows.
DEVICE float sigmoid(float x, float& complement) {
    float large = 1.0f / (1.0f + expf(-fabsf(x))), small = expf(-fabsf(x)) * large;
    complement = x >= 0.0f ? small : large;
    return x >= 0.0f ? large : small;
}

// f(x), and f'(x) for those who use it. NaN stays NaN.
template <int Kind>
DEVICE float activate(float x, float& slope) {
    if constexpr (Kind == kActivationSilu) {
        float complement, s = sigmoid(x, complement);
        slope = x * s * complement + s;
        return x * s;
    } else if constexpr (Kind == kActivationGeluErf) {
        // Φ by the complementary error function, which keeps its digits where Φ is small; f' = Φ + x φ.
        float cdf = 0.5f * erfcf(-0.70710678f * x);
        slope = cdf + x * (0.39894228f * expf(-0.5f * x * x));
        return x * cdf;
    } else if constexpr (Kind == kActivationGeluTanh) {
        // x · σ(2u) with u = √(2/π) (x + 0.044715 x³), since (1 + tanh u) / 2 = σ(2u). From |x| = 100 on σ is 0 or 1, and the bound keeps 0 · ∞ away.
        constexpr float kLinear = 1.5957691216f, kCubic = 0.0713548162726f;
        float square = fminf(x * x, 1e4f), complement, s = sigmoid(x * (kLinear + kCubic * square), complement);
        slope = x * s * complement * (kLinear + 3.0f * kCubic * square) + s;
        return x * s;
    } else if constexpr (Kind == kActivationRelu) {
        slope = x > 0.0f ? 1.0f : 0.0f;
        return x < 0.0f ? 0.0f : x;
    } else if constexpr (Kind == kActivationTanh) {
        // 1 - tanh² = 4 σ(2x) σ(-2x), with all its digits where tanh is near 1.
        float complement, s = sigmoid(2.0f * x, complement);
        slope = 4.0f * s * complement;
        return tanhf(x);
    } else {
        slope = 1.0f;
        return x;
    }
}
template <int Kind>
DEVICE float activate(float x) {
    float slope;
    return activate<Kind>(x, slope);
}

template <int Value>
struct Constant { static constexpr int value = Value; };

// body(Constant<kind>()), so that a loop is compiled once for each activation and chosen once a thread.
template <class Body>
DEVICE void for_activation(int kind, const Body& body) {
    switch (kind) {
        case kActivationSilu: return body(Constant<kActivationSilu>());
        case kActivationGeluErf: return body(Constant<kActivationGeluErf>());
        case kActivationGeluTanh: return body(Constant<kActivationGeluTanh>());
        case kActivationRelu: return body(Constant<kActivationRelu>());
        case kActivationTanh: return body(Constant<kActivationTanh>());
        default: return body(Constant<kActivationNone>());
    }
}
