// Storage types: f32, f16, bf16, s8. Arithmetic is float32 always; these are loaded, widened, computed on, rounded to nearest even and stored.
#pragma once
#include "seam.cuh"

using f32 = float;
using s8 = int8_t;

struct f16 { uint16_t bits; };
struct bf16 { uint16_t bits; };

DEVICE float bits_to_float(uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}
DEVICE uint32_t float_to_bits(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, 4);
    return bits;
}
