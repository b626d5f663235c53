// The sieve of a search: inner products of queries [Q, D] with rows [N, D] on tensor cores, of which only those are kept that may be among a query's best;
// there is no score matrix. Bounds and what becomes of the candidates: core/candidates.cuh, scoretopk_select.cu.
//   scoretopk_few_<rows>            up to 8 queries a block: rows of any type go from memory to registers once, at its speed
//   scoretopk_<shape>_<rows>        many queries: the main loop of every product; rows of any type that begin at multiples of 16 bytes
//   scoretopk_pack_<rows>           rows of other lengths and alignments as f16 or bf16 that the others read
// Bytes become f16 and float32 rows bf16 between shared memory and the tensor cores. A second and third product with the rest of float32 rows would cost as
// much again each; the rows that the wider margin lets through cost a line of memory, and only their float32 scores count (core/candidates.cuh).
// FLOPs 2·Q·N·D. Floor: the bytes of the rows for up to some 140 queries, the tensor cores' rate above. 8.8 M × 4096 f16: 72 GB, 17 ms at 4.3 TB/s;
// 6,980 queries 5.0e14 FLOP, 0.84 s at 600 TFLOP/s.
#include "core/candidates.cuh"
#include "core/mainloop.cuh"

// |r|² of 16 rows from A fragments: A · Aᵀ in two halves of 8 columns, whose B fragments are A's registers. Lane (g, t) with t = g / 2 has the diagonal.
template <class T>
struct SquareSums {
    float low[4] = {}, high[4] = {};

    DEVICE void add(const uint32_t (&a)[4]) {
        mma<T>(low, a, a[0], a[2]);
        mma<T>(high, a, a[1], a[3]);
    }
    // Of rows g and g + 8, in every lane of the group.
    DEVICE void rows(float& first, float& second) const {
        const int g = lane_index() / 4, from = g * 4 + g / 2;
        first = shuffle(g % 2 ? low[1] : low[0], from);
        second = shuffle(g % 2 ? high[3] : high[2], from);
    }
};

// Eight elements of a row as two k16 fragments' worth of pairs: element 4i + 2j, 4i + 2j + 1 in register 2i + j. Zeros where not `inside`.
struct RowPairs { uint32_t values[4]; };
template <class R>
DEVICE RowPairs load_pairs(const R* from, bool inside) {
    RowPairs pairs = {};
    if (inside) pairs = *reinterpret_cast<const RowPairs*>(__builtin_assume_aligned(from, 16));
    return pairs;
}
template <>
DEVICE RowPairs load_pairs<f32>(const f32* from, bool inside) {
    RowPairs pairs = {};
    if (inside) {
        const Packet<f32> low = load_packet(from), high = load_packet(from + 4);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            pairs.values[i] = pack<bf16>(low.values[2 * i], low.values[2 * i + 1]);
            pairs.values[2 + i] = pack<bf16>(high.values[2 * i], high.values[2 * i + 1]);
        }
    }
    return pairs;
}
struct alignas(8) EightBytes { uint32_t values[2]; };
template <>
DEVICE RowPairs load_pairs<s8>(const s8* from, bool inside) {
    RowPairs pairs = {};
    if (inside) {
        const EightBytes bytes = *reinterpret_cast<const EightBytes*>(from);
        widen_s8(bytes.values[0], pairs.values[0], pairs.values[1]);
        widen_s8(bytes.values[1], pairs.values[2], pairs.values[3]);
    }
    return pairs;
}

// A warp has 32 rows in two pieces of 16, and the 8 queries of its block's group; k goes 32 at a time, of which a lane has 8 neighbours in memory: which k an
// element has in the fragment is no matter as long as rows and queries agree. Blocks with the same rows and other queries follow each other: they find the rows in L2.
constexpr int kFewThreads = 256, kFewRows = kFewThreads / kWarp * 32, kFewQueries = 8;

template <class R, class T>
DEVICE void score_few(const Search& search, const R* rows, int64_t stride, const float* row_scales, const float* row_terms, uint32_t first_row,
    int64_t count) {
    const int groups = ceil_div(search.query_count, kFewQueries), query = (int)blockIdx.x % groups * kFewQueries;
    const int64_t first = (int64_t)(blockIdx.x / groups) * kFewRows + warp_index() * 32;
    const int g = lane_index() / 4, t = lane_index() % 4, width = search.width;
    const R* from[4];
#pragma unroll
    for (int i = 0; i < 4; i++) from[i] = rows + min_of(first + i * 8 + g, count - 1) * stride + t * 8;
    const T* plane = static_cast<const T*>(search.plane) + (int64_t)(query + g) * search.plane_width + t * 8;

    // Loads that are under way at once: 16 or 8 KB a warp.
    constexpr int kSteps = sizeof(R) == 4 ? 2 : 4;
    float sums[2][4] = {};
    SquareSums<T> squares[2];
    for (int base = 0; base < width; base += kSteps * 32) {
        RowPairs a[kSteps][4], b[kSteps];
#pragma unroll
        for (int step = 0; step < kSteps; step++) {
            const int k = base + step * 32;
            const bool inside = k + t * 8 < width;
#pragma unroll
            for (int i = 0; i < 4; i++) a[step][i] = load_pairs<R>(from[i] + k, inside);
            b[step] = load_pairs<T>(plane + k, k < search.plane_width);
        }
#pragma unroll
        for (int step = 0; step < kSteps; step++)
#pragma unroll
            for (int half = 0; half < 2; half++)
#pragma unroll
                for (int piece = 0; piece < 2; piece++) {
                    const RowPairs &upper = a[step][2 * piece], &lower = a[step][2 * piece + 1];
                    const uint32_t fragment[4] = {upper.values[2 * half], lower.values[2 * half], upper.values[2 * half + 1], lower.values[2 * half + 1]};
                    mma<T>(sums[piece], fragment, b[step].values[2 * half], b[step].values[2 * half + 1]);
                    squares[piece].add(fragment);
                }
    }

    float lengths[4], most = 0;
#pragma unroll
    for (int piece = 0; piece < 2; piece++) squares[piece].rows(lengths[2 * piece], lengths[2 * piece + 1]);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int64_t row = first + i * 8 + g;
        const float scale = row_scales && row < count ? row_scales[row] : 1.0f, term = row_terms && row < count ? row_terms[row] : 0.0f;
        const float length = row_length(search, lengths[i]) * fabsf(scale);
        if (row < count) most = most < length || length != length ? length : most;
#pragma unroll
        for (int e = 0; e < 2; e++) {
            const int q = query + t * 2 + e;
            const float bound = sums[i / 2][i % 2 * 2 + e] * search.scales[q] * scale + search.margins[q] * length + term;
            if (row < count && term == term) offer(search, q, search.thresholds[q], bound, first_row + (uint32_t)row);
        }
    }
    note_length(search, most);
}

// Sums the squares of rows beside a product whose A they are: each of a block's columns of warps sums some of the pieces of 16 rows.
template <class T, class Loop, class Shape>
struct SquaresBetween {
    static constexpr int kPieces = ceil_div(Loop::kRows, Shape::kWarpsN);
    SquareSums<T> (&squares)[kPieces];
    int first;  // the warp's first row

    static DEVICE bool has(int piece) { return piece % Shape::kWarpsN == warp_index() % Shape::kWarpsN; }

    DEVICE void fragment(uint32_t (&a)[4], int row, int) const {
        const int piece = (row - first) / 16;
        if (has(piece)) squares[piece / Shape::kWarpsN].add(a);
    }
    template <class Sums>
    DEVICE void before_tile(int, Sums&) const {}
};

template <class R, class T, class Shape>
DEVICE void score_many(const Search& search, const R* rows, int64_t stride, const float* row_scales, const float* row_terms, uint32_t first_row,
    int count) {
    using Loop = MainLoop<T, Shape, false, true, R>;
    using Between = SquaresBetween<T, Loop, Shape>;
    SHARED_DYNAMIC(shared);
    // Groups of tiles of rows stay in L2 while all queries pass.
    const TilePosition position((int)blockIdx.x, ceil_div(count, Shape::kM), ceil_div(search.query_count, Shape::kN));
    const int row = position.row * Shape::kM, query = position.column * Shape::kN;

    const Segment<T> segment{
        reinterpret_cast<const T*>(rows), static_cast<const T*>(search.plane), stride * (int)sizeof(R) / 2, search.plane_width, search.width, 0};
    constexpr typename Loop::Range kAll{0, 0x7fffffff};
    typename Loop::Sums sums;
    SquareSums<T> squares[Between::kPieces];
    Loop::run(&segment, 1, kAll, row, count, query, query + Shape::kN, shared, sums, Between{squares, row + Loop::warp_row()});

    // Of every row of the block: its scale, its length, its term.
    float* const scales = reinterpret_cast<float*>(shared);
    float* const lengths = scales + Shape::kM;
    float* const terms = lengths + Shape::kM;
    const int g = lane_index() / 4, t = lane_index() % 4;
    float most = 0;
#pragma unroll
    for (int piece = 0; piece < Loop::kRows; piece++) {
        if (!Between::has(piece)) continue;
        float both[2];
        squares[piece / Shape::kWarpsN].rows(both[0], both[1]);
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int at = Loop::warp_row() + piece * 16 + half * 8 + g;
            const bool inside = row + at < count;
            const float scale = row_scales && inside ? row_scales[row + at] : 1.0f;
            const float length = row_length(search, both[half]) * fabsf(scale);
            if (inside) most = most < length || length != length ? length : most;
            if (t == 0) {
                scales[at] = scale;
                lengths[at] = length;
                terms[at] = row_terms && inside ? row_terms[row + at] : 0.0f;
            }
        }
    }
    note_length(search, most);
    sync_block();

#pragma unroll
    for (int j = 0; j < Loop::kColumns; j++)
#pragma unroll
        for (int e = 0; e < 2; e++) {
            const int q = query + Loop::warp_column() + j * 8 + t * 2 + e;
            const float scale = search.scales[q], margin = search.margins[q], threshold = search.thresholds[q];
#pragma unroll
            for (int i = 0; i < Loop::kRows; i++)
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    const int at = Loop::warp_row() + i * 16 + half * 8 + g;
                    const float term = terms[at], bound = sums[i][j][half * 2 + e] * scale * scales[at] + margin * lengths[at] + term;
                    if (!(bound < threshold) && row + at < count && term == term) offer(search, q, threshold, bound, first_row + (uint32_t)(row + at));
                }
        }
}

// A thread has 8 columns.
template <class R, class T>
DEVICE void pack_rows(const R* rows, T* packed, int64_t count, int width, int packed_width) {
    const int chunks = packed_width / 8;
    const int64_t index = (int64_t)blockIdx.x * kFewThreads + threadIdx.x, row = index / chunks;
    const int column = (int)(index % chunks) * 8;
    if (row >= count) return;
    Packet<T> packet;
#pragma unroll
    for (int i = 0; i < 8; i++) packet.values[i] = from_float<T>(column + i < width ? to_float(rows[row * width + column + i]) : 0.0f);
    store_packet(packed + row * packed_width + column, packet);
}

#define ROWS(rows_type, type) \
    KERNEL(scoretopk_few_##rows_type, kFewThreads, 2, Search search, const rows_type* rows, int64_t stride, const float* row_scales, \
        const float* row_terms, uint32_t first_row, int64_t count) { \
        score_few<rows_type, type>(search, rows, stride, row_scales, row_terms, first_row, count); \
    } \
    KERNEL(scoretopk_pack_##rows_type, kFewThreads, 4, const rows_type* rows, type* packed, int64_t count, int width, int packed_width) { \
        pack_rows<rows_type, type>(rows, packed, count, width, packed_width); \
    }
ROWS(f32, bf16)
ROWS(bf16, bf16)
ROWS(f16, f16)
ROWS(s8, f16)

// Queries a block: 256, 128, and 32 where the rows' way from memory is what takes the time. Rings are at most 96 KB, as some GPUs have no more.
template <class R>
using Wide = BlockShape<128, 256, 32, 64, 64, sizeof(R) == 4 ? 3 : 4>;
template <class R>
using Large = BlockShape<128, 128, 32, 64, sizeof(R) == 4 ? 32 : 64, 3>;
template <class R>
using Narrow = BlockShape<128, 32, sizeof(R) == 4 ? 32 : 64, 32, 32, 4>;

#define MANY(shape, Shape, blocks, rows_type, type) \
    KERNEL(scoretopk_##shape##_##rows_type, Shape<rows_type>::kThreads, blocks, Search search, const rows_type* rows, int64_t stride, \
        const float* row_scales, const float* row_terms, uint32_t first_row, int count) { \
        score_many<rows_type, type, Shape<rows_type>>(search, rows, stride, row_scales, row_terms, first_row, count); \
    }
#define MANY_OF_TYPE(rows_type, type) \
    MANY(wide, Wide, 1, rows_type, type) \
    MANY(large, Large, sizeof(rows_type) == 4 ? 1 : 2, rows_type, type) \
    MANY(narrow, Narrow, 2, rows_type, type)
MANY_OF_TYPE(f16, f16)
MANY_OF_TYPE(bf16, bf16)
MANY_OF_TYPE(s8, f16)
MANY_OF_TYPE(f32, bf16)
