// Dropout by counter-based random numbers, the same mask as C#'s Dropout: element i is dropped when the upper half of SplitMix64(seed + i ·
// 0x9E3779B97F4A7C15) is below the threshold; what is kept counts 1 / (1 - p) times.
#pragma once
#include "seam.cuh"

struct Dropout {
    uint64_t seed;
    uint32_t threshold;  // 0: nothing is dropped
    float scale;         // 1 / (1 - p)

    DEVICE bool keeps(uint64_t index) const {
        uint64_t z = seed + index * 0x9E3779B97F4A7C15ull;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        z ^= z >> 31;
        return (uint32_t)(z >> 32) >= threshold;
    }
};
