// The main loop of every matrix product: sums [M, N] = Σ over K segments of op(a) · op(b), on tensor cores with float32 sums.
//
// A list of segments in place of one pair of matrices is what products have in common: an F32 operand is three bf16 planes and its product six segments; LoRA's
// s · Bᵀ and ds · A are segments behind or before those of the frozen weight; the gradient of a shared input has segments for every projection.
//
// Tiles of k go through a ring of shared memory filled by cp.async; fragments are loaded one k16 step ahead of the tensor cores; one barrier a tile. Every
// element is summed in ascending k, 16 at a time, segment by segment, in every shape of tile: its bits do not depend on the shape nor on the other rows and
// columns.
#pragma once
#include "fragments.cuh"
#include "product.cuh"

template <class T>
struct Segment {
    const T* a;  // [M, k], or [k, M] where the product is formed from aᵀ
    const T* b;  // [k, N], or [N, k] for bᵀ
    int64_t a_stride, b_stride;  // elements from row to row
    int32_t k;
    int32_t unused;
};

// What a block computes and how: kM × kN results, kK deep tiles, warps of kWarpM × kWarpN, a ring of kStages tiles.
template <int M, int N, int K, int WarpM, int WarpN, int Stages>
struct BlockShape {
    static constexpr int kM = M, kN = N, kK = K, kWarpM = WarpM, kWarpN = WarpN, kStages = Stages;
    static constexpr int kWarpsN = N / WarpN, kThreads = M / WarpM * kWarpsN * kWarp;
    static constexpr int kStageElements = (M + N) * K;
    static constexpr int kSharedBytes = Stages * kStageElements * 2;
    static_assert(K % 32 == 0 && WarpM % 16 == 0 && WarpN % 16 == 0 && Stages >= 2, "an even number of k16 steps, whole fragments");
};

// Default for what may be done to fragments and sums on the way: nothing.
struct NothingBetween {
    template <class Fragment>
    DEVICE void fragment(Fragment&, int, int) const {}
    template <class Sums>
    DEVICE void before_tile(int, Sums&) const {}
};

// R: what the rows of a are stored as, in place of T; not with TransA.
template <class T, class Shape, bool TransA, bool TransB, class R = T>
struct MainLoop {
    // Units of 16 bits of k elements of a row of a.
    static DEVICE constexpr int units(int k) { return k * (int)sizeof(R) / 2; }
    using TileA = Tile<T, TransA ? Shape::kK : Shape::kM, TransA ? Shape::kM : units(Shape::kK)>;
    using TileB = Tile<T, TransB ? Shape::kN : Shape::kK, TransB ? Shape::kK : Shape::kN>;
    static constexpr int kRows = Shape::kWarpM / 16, kColumns = Shape::kWarpN / 8, kSteps = Shape::kK / 16;
    static constexpr int kStageElements = TileA::kElements + TileB::kElements;
    using FragmentsOfA = Fragments<T, R, TileA, kRows, TransA>;
    // Of a lane: C fragments of the warp's 16 × 8 pieces.
    using Sums = float[kRows][kColumns][4];

    struct Range {  // of k in every segment
        int first, last;
    };

    static DEVICE int warp_row() { return warp_index() / Shape::kWarpsN * Shape::kWarpM; }
    static DEVICE int warp_column() { return warp_index() % Shape::kWarpsN * Shape::kWarpN; }

    // Tiles of k that all segments have.
    static DEVICE int tiles(const Segment<T>* segments, int count, Range range) {
        int sum = 0;
        for (int i = 0; i < count; i++) sum += ceil_div(max_of(min_of(segments[i].k, range.last) - range.first, 0), Shape::kK);
        return sum;
    }

    // Sums the product's rows from `row` (below m) and columns from `column` (below n). All threads of the block call it; afterwards the shared memory is
    // free. `between.before_tile` sees the sums before tile number t is added, `between.fragment` every A fragment with its first row and k just before its
    // use (the k of a list whose segments are all as long as the first).
    template <class Between>
    static DEVICE void run(const Segment<T>* segments, int count, Range range, int row, int m, int column, int n, unsigned char* shared, Sums& sums,
        const Between& between) {
        T* const ring = reinterpret_cast<T*>(shared);
        const int total = tiles(segments, count, range);

        // The side of the copies: which segment, how much of it is left.
        TileCopier<TileA, T, Shape::kThreads, !TransA> copier_a;
        TileCopier<TileB, T, Shape::kThreads, TransB> copier_b;
        int segment = -1, left = 0;
        auto copy = [&](T* stage) {
            while (left <= 0) {
                segment++;
                left = min_of(segments[segment].k, range.last) - range.first;
                copier_a.begin(segments[segment].a, segments[segment].a_stride, range.first, row, m);
                copier_b.begin(segments[segment].b, segments[segment].b_stride, range.first, column, n);
            }
            copier_a.copy(stage, units(left));
            copier_b.copy(stage + TileA::kElements, left);
            left -= Shape::kK;
        };

        // The side of the fragments: a tile's steps of k, and the warp's pieces across it, go by + and ^ of constants (tile.cuh).
        const int lane_a = FragmentsOfA::lane(warp_row());
        const int lane_b = TransB ? TileB::lane_along(warp_column(), 0) : TileB::lane_down(0, warp_column() / 8);
        FragmentsOfA a[2];
        uint32_t b[2][kColumns / 2][4];
        auto load = [&](int buffer, const T* stage, int step) {
            a[buffer].load(stage, lane_a, step);
            stage += TileA::kElements;
#pragma unroll
            for (int j = 0; j < kColumns / 2; j++) {
                if (TransB) load_matrix_x4(b[buffer][j], stage + (lane_b ^ step * 16) + j * 16 * TileB::kColumns);
                else load_matrix_x4_transposed(b[buffer][j], stage + (lane_b ^ j * 16) + step * 16 * TileB::kColumns);
            }
        };

#pragma unroll
        for (int i = 0; i < kRows; i++)
#pragma unroll
            for (int j = 0; j < kColumns; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) sums[i][j][e] = 0.0f;

#pragma unroll
        for (int i = 0; i < Shape::kStages - 1; i++) {
            if (i < total) copy(ring + i * kStageElements);
            copy_async_commit();
        }
        copy_async_wait<Shape::kStages - 2>();
        sync_block();
        load(0, ring, 0);
        // Stages that are read from and copied to, as elements of the ring.
        int read = 0, write = (Shape::kStages - 1) * kStageElements, k = range.first;
        auto next = [](int stage) { return stage == (Shape::kStages - 1) * kStageElements ? 0 : stage + kStageElements; };
        for (int t = 0; t < total; t++) {
            between.before_tile(t, sums);
#pragma unroll
            for (int step = 0; step < kSteps; step++) {
                if (step == kSteps - 1) {
                    // The next tile has landed, and everyone has read all of this one.
                    copy_async_wait<Shape::kStages - 2>();
                    sync_block();
                    read = next(read);
                    load(0, ring + read, 0);
                } else {
                    load((step + 1) % 2, ring + read, step + 1);
                }
                if (step == 0) {
                    if (t + Shape::kStages - 1 < total) copy(ring + write);
                    copy_async_commit();
                    write = next(write);
                }
#pragma unroll
                for (int i = 0; i < kRows; i++) {
                    uint32_t fragment[4];
                    a[step % 2].get(i, fragment);
                    between.fragment(fragment, row + warp_row() + i * 16, k + step * 16);
#pragma unroll
                    for (int j = 0; j < kColumns; j++) mma<T>(sums[i][j], fragment, b[step % 2][j / 2][j % 2 * 2], b[step % 2][j / 2][j % 2 * 2 + 1]);
                }
            }
            k += Shape::kK;
            if (k >= min_of(segments[0].k, range.last)) k = range.first;
        }
        copy_async_wait<0>();
        sync_block();
    }

    // put(row, column, values) for all sums, 8 neighbouring columns at a time, rows and columns past the product too. The shared memory is that of `run`.
    template <class Put>
    static DEVICE void store(const Sums& sums, unsigned char* shared, int row, int column, const Put& put) {
        using Rows = Strip<kColumns>;
        static_assert(Shape::kThreads / kWarp * Rows::kFloats * 4 <= Shape::kSharedBytes, "the strips fit into the ring");
        const int first_row = row + warp_row(), first_column = column + warp_column();
        Rows::hand_out(sums, reinterpret_cast<float*>(shared) + warp_index() * Rows::kFloats,
            [&](int piece, int at_row, int at_column, float (&values)[8]) { put(first_row + piece * 16 + at_row, first_column + at_column, values); });
    }
};
