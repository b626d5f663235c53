// What the kernels of a search share: its arguments, and a row that was found as one number.
//
// Scores are found in two steps. A sieve (scoretopk.cu) multiplies on tensor cores, queries rounded to 16 bits, and keeps the rows whose score may reach the
// query's threshold; what it keeps is scored again in float32 (scoretopk_select.cu), and only those scores count: the result is exactly the best k by them.
//
// For query q and row r let s be the float32 score, and t = Σ q'·r' that of the sieve, where 2^e q' is q in 16 bits and r' is r (F32 rows: in bf16). Then
//   |s - t| <= margin · |r|,   margin = |q - 2^e q'| + |q| (D + 32) 2^-22 (+ |q| 2^-9 for F32 rows)
// by Cauchy-Schwarz. The second term holds the sums: tensor cores add groups of at least 4 products, cut to no fewer than 24 bits of the largest, which loses
// below 1.5 · 2^-23 a product; float32 sums of 32 lanes lose less than (D / 32 + 6) 2^-24; the rest is for the few operations on the bound itself.
// A term of the row, added to both, keeps their order: rounding is monotone. Rows whose term is no number are no candidates.
// |r| comes from the same fragments: A · Aᵀ of 16 rows has the squares in its diagonal. So t + margin |r| is never below s.
#pragma once
#include "warp.cuh"

// Of one call; pointers are to device memory.
struct Search {
    const float* queries;   // [queries, width]
    void* plane;            // [padded queries, plane_width] f16 (rows F16 and I8) or bf16 (BF16, F32): q', zeros behind width and behind the last query
    float* scales;          // [padded queries] 2^e
    float* margins;         // [padded queries]
    float* thresholds;      // [padded queries] what is surely below is no candidate; +infinity behind the last query
    uint64_t* keys;         // [queries, slots] candidates
    uint32_t* counts;       // [queries] of keys; more than slots where some were lost
    uint64_t* flags;        // [0] some keys were lost, [1] a bound was no number
    uint64_t* largest;      // bits of the largest |r| yet
    int64_t slots;
    int32_t query_count, width, plane_width;
    float norm_factor, norm_floor;  // |r| <= √(sum of squares) · factor + floor
    float rounding;                 // of rows, relative
    int32_t k;
    int32_t row_bytes;  // of an element of rows whose fragments have an order of their own (mainloop.cuh): 1 or 4; else 2
};

// Score bits in an order that integers have, above the complement of the row: larger for a better row, and of equal scores for the lower one. Never 0.
DEVICE uint32_t ordered_bits(float score) {
    // -0 becomes 0: they are equal.
    const uint32_t bits = float_to_bits(score + 0.0f);
    return bits >> 31 ? ~bits : bits | 0x80000000;
}
DEVICE uint64_t candidate_key(float score, uint32_t row) { return (uint64_t)ordered_bits(score) << 32 | (uint32_t)~row; }
DEVICE float candidate_score(uint64_t key) {
    const uint32_t ordered = (uint32_t)(key >> 32);
    return bits_to_float(ordered >> 31 ? ordered & 0x7fffffff : ~ordered);
}
DEVICE uint32_t candidate_row(uint64_t key) { return ~(uint32_t)key; }

// Takes the row for the query if its score, at most `bound`, may reach the threshold. The order in which rows come is no matter: keys are sorted.
DEVICE void offer(const Search& search, int query, float threshold, float bound, uint32_t row) {
    if (bound < threshold || query >= search.query_count) return;
    // No number: the row is scored before its bound is used for anything.
    if (!(fabsf(bound) < kInfinity)) atomic_max(search.flags + 1, 1);
    const uint32_t slot = atomic_add(search.counts + query, 1u);
    if (slot < search.slots) search.keys[query * search.slots + slot] = candidate_key(bound != bound ? kInfinity : bound, row);
    else atomic_max(search.flags, 1);
}

// At least the length of a row, as it stands in memory before its scale.
DEVICE float row_length(const Search& search, float squares) { return sqrtf(squares) * search.norm_factor + search.norm_floor; }

// The largest length of the warp's rows becomes part of the call's.
DEVICE void note_length(const Search& search, float length) {
    const float largest = warp_max(length != length ? kInfinity : length);
    if (lane_index() == 0) atomic_max(search.largest, float_to_bits(largest));
}
