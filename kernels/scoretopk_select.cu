// The best k of a search, from the candidates that the sieve keeps (core/candidates.cuh, scoretopk.cu):
//   scoretopk_prepare_<type>  queries in 16 bits with their bounds, thresholds from the lists as they are
//   scoretopk_pad             zeros behind each query's keys, for the sort (sort.cu)
//   scoretopk_prune           after it: which keys stay, and the new threshold
//   scoretopk_rescore_<rows>  keys by bounds become keys by float32 scores
//   scoretopk_merge           sorted keys and the lists as they are become the new lists
// Floor of rescoring: the bytes of the rows that are scored again, about 1.1 k a query. The rest is small.
#include "core/candidates.cuh"
#include "core/fragments.cuh"
#include "core/row.cuh"

// A block has a query; the last blocks fill the plane up. A query with a NaN finds nothing: its threshold is +infinity.
template <class T>
DEVICE void prepare(const Search& search, const float* scores, const int64_t* indices) {
    SHARED(float, scratch, 2 * kRowThreads / kWarp);
    const RowGroup block(kRowThreads);
    const int query = (int)blockIdx.x;
    const bool is_query = query < search.query_count;
    const int width = is_query ? search.width : 0;
    const float* from = search.queries + (int64_t)query * search.width;
    T* plane = static_cast<T*>(search.plane) + (int64_t)query * search.plane_width;

    float most = 0, nan = 0;
    for (int i = (int)threadIdx.x; i < width; i += kRowThreads) {
        most = fmaxf(most, fabsf(from[i]));
        if (from[i] != from[i]) nan = 1;
    }
    most = group_max(most, block, scratch);
    nan = group_max(nan, block, scratch);
    // The power of two below the largest element, where that and its inverse are ordinary numbers.
    const int exponent = min_of(max_of((int)(float_to_bits(most) >> 23), 1), 253);
    const float scale = bits_to_float((uint32_t)exponent << 23), inverse = bits_to_float((uint32_t)(254 - exponent) << 23);

    float sums[2] = {};
    for (int i = (int)threadIdx.x; i < search.plane_width; i += kRowThreads) {
        const int k = search.row_bytes == 1 ? i / 16 * 16 + fragment_order<s8>(i % 16)
            : search.row_bytes == 4 ? i / 16 * 16 + fragment_order<f32>(i % 16) : i;
        const float value = k < width && nan == 0 ? from[k] * inverse : 0.0f;
        const T rounded = from_float<T>(value);
        plane[i] = rounded;
        const float rest = value - to_float(rounded);
        sums[0] += rest * rest;
        sums[1] += value * value;
    }
    group_sum(sums, block, scratch);
    if (threadIdx.x != 0) return;
    const float sum_error = (search.width + 32) * 0x1p-22f + search.rounding;
    search.scales[query] = nan == 0 ? scale : 0.0f;
    // What these few operations lose is in the one percent.
    search.margins[query] = scale * 1.01f * (sqrtf(sums[0]) + sum_error * sqrtf(sums[1]));
    float threshold = is_query && nan == 0 ? -kInfinity : kInfinity;
    const int64_t last = (int64_t)query * search.k + search.k - 1;
    if (threshold < 0 && scores && indices[last] >= 0) threshold = scores[last];
    search.thresholds[query] = threshold;
    if (is_query) search.counts[query] = 0;
}
KERNEL(scoretopk_prepare_f16, kRowThreads, 4, Search search, const float* scores, const int64_t* indices) { prepare<f16>(search, scores, indices); }
KERNEL(scoretopk_prepare_bf16, kRowThreads, 4, Search search, const float* scores, const int64_t* indices) { prepare<bf16>(search, scores, indices); }

// Queries in y.
KERNEL(scoretopk_pad, kRowThreads, 4, Search search) {
    const int query = (int)blockIdx.y;
    for (int64_t i = search.counts[query] + (int64_t)blockIdx.x * kRowThreads + threadIdx.x; i < search.slots; i += (int64_t)gridDim.x * kRowThreads)
        search.keys[query * search.slots + i] = 0;
}

DEVICE float next_above(float x) {
    const uint32_t bits = float_to_bits(x + 0.0f);
    return bits_to_float(bits >> 31 ? bits - 1 : bits + 1);
}

// The first place from `first` on whose key is below `key`, of `count` keys in descending order.
DEVICE int64_t first_below(const uint64_t* keys, int64_t first, int64_t count, uint64_t key) {
    while (first < count) {
        const int64_t middle = (first + count) / 2;
        if (keys[middle] < key) count = middle;
        else first = middle + 1;
    }
    return first;
}

// A thread has a query, whose keys are sorted. Bounds are at most 2 · margin · |r| above the scores, so that k rows score at least what is left of the k-th
// bound without that: what cannot reach it goes, and a later row must be above it, for of equal scores the lower row stays. With `exact` keys are scores.
KERNEL(scoretopk_prune, kRowThreads, 4, Search search, int exact, uint32_t* kept) {
    const int query = (int)(blockIdx.x * kRowThreads + threadIdx.x);
    if (query >= search.query_count) return;
    const uint64_t* keys = search.keys + query * search.slots;
    // Rows whose score is no number have key 0.
    int64_t count = first_below(keys, 0, min_of<int64_t>(search.counts[query], search.slots), 1);
    if (count >= search.k) {
        const float spread = exact ? 0.0f : 2.0f * search.margins[query] * bits_to_float((uint32_t)*search.largest);
        // A term that was added to both was rounded with each.
        const float least = candidate_score(keys[search.k - 1]), lowest = exact ? least : least - spread - 0x1p-21f * fabsf(least);
        if (spread == 0.0f) count = search.k;
        else if (lowest == lowest) count = first_below(keys, search.k, count, (uint64_t)ordered_bits(lowest) << 32);
        if (lowest < kInfinity) search.thresholds[query] = fmaxf(search.thresholds[query], next_above(lowest));
    }
    search.counts[query] = (uint32_t)count;
    kept[query] = (uint32_t)count;
}

// A warp scores a candidate; queries in y. Lane l has elements 8 l to 8 l + 7 of every 256, whatever the alignment, and the lanes are added as a tree:
// the same bits for a row and a query wherever they stand.
template <class R, bool Whole>
DEVICE float dot(const float* query, const R* row, int width) {
    float sum = 0;
#pragma unroll (Whole ? 4 : 1)
    for (int i = lane_index() * 8; i < width; i += kWarp * 8) {
        if constexpr (Whole) {
            const Chunk<R, 8> values = load_chunk<8>(row + i);
            const Chunk<float, 8> weights = load_chunk<8>(query + i);
#pragma unroll
            for (int j = 0; j < 8; j++) sum = fmaf(weights.values[j], to_float(values.values[j]), sum);
        } else {
#pragma unroll
            for (int j = 0; j < 8; j++)
                if (i + j < width) sum = fmaf(query[i + j], to_float(row[i + j]), sum);
        }
    }
    return warp_sum(sum);
}

template <class R>
DEVICE void rescore(const Search& search, const R* rows, const float* row_scales, const float* row_terms) {
    const int query = (int)blockIdx.y, width = search.width, warps = kRowThreads / kWarp;
    const int64_t count = min_of<int64_t>(search.counts[query], search.slots);
    const float* from = search.queries + (int64_t)query * width;
    const bool whole = width % 8 == 0 && address_bits(rows, from) % 16 == 0;
    for (int64_t i = (int64_t)blockIdx.x * warps + warp_index(); i < count; i += (int64_t)gridDim.x * warps) {
        uint64_t* key = search.keys + query * search.slots + i;
        const uint32_t index = candidate_row(*key);
        const R* row = rows + (int64_t)index * width;
        float score = whole ? dot<R, true>(from, row, width) : dot<R, false>(from, row, width);
        if (row_scales) score *= row_scales[index];
        if (row_terms) score += row_terms[index];
        sync_warp();
        if (lane_index() == 0) *key = score != score ? 0 : candidate_key(score, index);
    }
}
#define RESCORE(type) \
    KERNEL(scoretopk_rescore_##type, kRowThreads, 3, Search search, const type* rows, const float* row_scales, const float* row_terms) { \
        rescore<type>(search, rows, row_scales, row_terms); \
    }
RESCORE(f32)
RESCORE(f16)
RESCORE(bf16)
RESCORE(s8)

// Whether one row stands before another.
DEVICE bool is_before(float score, int64_t index, float other_score, int64_t other_index) {
    return score > other_score || (score == other_score && index < other_index);
}

// Queries in x. Sorted keys of exact scores and the lists [queries, k] as they are (none without `merge`) become the lists new_scores, new_indices: an entry's
// place is its place in its own list and the number of entries of the other one before it.
KERNEL(scoretopk_merge, kRowThreads, 4, Search search, int merge, int64_t first_row, const float* scores, const int64_t* indices, float* new_scores,
    int64_t* new_indices) {
    const int64_t query = blockIdx.x, k = search.k, found = search.counts[query];
    const uint64_t* keys = search.keys + query * search.slots;
    scores += query * k, indices += query * k, new_scores += query * k, new_indices += query * k;
    int64_t before = 0;
    if (merge) {
        int64_t end = k;
        while (before < end) {
            const int64_t middle = (before + end) / 2;
            if (indices[middle] < 0) end = middle;
            else before = middle + 1;
        }
    }

    for (int64_t i = threadIdx.x; i < found; i += kRowThreads) {
        const float score = candidate_score(keys[i]);
        const int64_t index = first_row + candidate_row(keys[i]);
        int64_t low = 0, high = before;
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (is_before(scores[middle], indices[middle], score, index)) low = middle + 1;
            else high = middle;
        }
        if (i + low >= k) continue;
        new_scores[i + low] = score;
        new_indices[i + low] = index;
    }
    for (int64_t i = threadIdx.x; i < before; i += kRowThreads) {
        int64_t low = 0, high = found;
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (is_before(candidate_score(keys[middle]), first_row + candidate_row(keys[middle]), scores[i], indices[i])) low = middle + 1;
            else high = middle;
        }
        if (i + low >= k) continue;
        new_scores[i + low] = scores[i];
        new_indices[i + low] = indices[i];
    }
    for (int64_t i = found + before + threadIdx.x; i < k; i += kRowThreads) {
        new_scores[i] = -kInfinity;
        new_indices[i] = -1;
    }
}
