// matmul.cu's products on Hopper: the same sums of segments, by warpgroup_mma (wgmma) out of shared memory that the copy engine (TMA) fills. cuBLAS reaches
// about 780 TFLOP/s this way on an H200, mma.sync at most two thirds of that.
//
// A block of three warpgroups stays on its multiprocessor and computes one tile of 128 × 256 after the other. One thread of the first group keeps a ring of
// four stages of 64 k full; it runs ahead into the next tile while the two others, each with 64 rows, finish theirs. `full` barriers count the stage's 48 KB,
// `empty` ones the eight warps that have read it.
//
// matmul_hopper_<form>_<type>, forms as in matmul.cu.
#include "../core/product.cuh"
#include "ptx.cuh"

constexpr int kM = 128, kN = 256, kK = 64, kStages = 4, kThreads = 384, kGroup = 128, kConsumerWarps = 8;
constexpr int kBytesA = kM * kK * 2, kBytesB = kN * kK * 2, kStageBytes = kBytesA + kBytesB;
// Of a box of 64 columns where k runs down the rows: the next 64 of the other dimension are that much further.
constexpr int kBoxBytes = kK * 64 * 2;
using Columns = Strip<4>;
constexpr int kStripBytes = kConsumerWarps * Columns::kFloats * 4;
// 217,152 of the 232,448 bytes that a block can have.
constexpr int kSharedBytes = kStages * kStageBytes + kStripBytes + 2 * kStages * 8;
static_assert(kSharedBytes <= 227 * 1024, "fits");

constexpr int kMaxMaps = 24;
struct MappedSegment {
    uint16_t a, b;  // numbers of maps
    int32_t k;
};
struct HopperArguments {
    TensorMap maps[kMaxMaps];
    MappedSegment segments[kMaxSegments];
    Product products[kMaxProducts];
    ProductOptions options;
};

// Where the ring stands: stages are filled and emptied in turn, and each time round the parity of their barriers' phases changes.
struct RingPosition {
    int stage = 0, parity = 0;

    DEVICE void advance() {
        stage = stage + 1 == kStages ? 0 : stage + 1;
        parity ^= stage == 0;
    }
};

// The tile that block number `block` of the grid of tiles is.
struct TileOfProduct {
    const Product& product;
    int row, column;

    DEVICE TileOfProduct(const HopperArguments& arguments, int block) : product(product_of(arguments.products, arguments.options.count, block)) {
        const TilePosition position(block - product.first_block, ceil_div(product.m, kM), ceil_div(product.n, kN));
        row = position.row * kM;
        column = position.column * kN;
    }
};

template <bool TransA, bool TransB>
DEVICE void produce(const HopperArguments& arguments, unsigned char* ring, uint64_t* full, uint64_t* empty) {
    RingPosition position;
    for (int block = (int)blockIdx.x; block < arguments.options.blocks; block += (int)gridDim.x) {
        const TileOfProduct tile(arguments, block);
        for (int i = 0; i < tile.product.segments; i++) {
            const MappedSegment segment = arguments.segments[tile.product.segment + i];
            const TensorMap *a = arguments.maps + segment.a, *b = arguments.maps + segment.b;
            for (int k = 0; k < segment.k; k += kK) {
                unsigned char *to_a = ring + position.stage * kStageBytes, *to_b = to_a + kBytesA;
                uint64_t* arrived = full + position.stage;
                barrier_wait(empty + position.stage, position.parity ^ 1);
                barrier_arrive_expect(arrived, kStageBytes);
                if (!TransA) copy_box(to_a, a, k, tile.row, arrived);
                else for (int j = 0; j < kM / 64; j++) copy_box(to_a + j * kBoxBytes, a, tile.row + j * 64, k, arrived);
                if (TransB) copy_box(to_b, b, k, tile.column, arrived);
                else for (int j = 0; j < kN / 64; j++) copy_box(to_b + j * kBoxBytes, b, tile.column + j * 64, k, arrived);
                position.advance();
            }
        }
    }
}

DEVICE int tiles_of_k(const MappedSegment* segments, int count) {
    int sum = 0;
    for (int i = 0; i < count; i++) sum += ceil_div(segments[i].k, kK);
    return sum;
}

template <class T, bool TransA, bool TransB>
DEVICE void consume(const HopperArguments& arguments, unsigned char* ring, float* strip, uint64_t* full, uint64_t* empty) {
    // Of the two consuming groups the second has the lower 64 rows of A's tile, which are the same distance away in both layouts.
    const int half = warp_index() / 4 - 1, warp_row = half * 64 + warp_index() % 4 * 16;
    static_assert(64 * kK * 2 == kBoxBytes, "64 rows of 64 k, or 64 k of 64 rows");
    constexpr int kStepA = TransA ? 2048 : 32, kStepB = TransB ? 32 : 2048;
    const uint64_t layout_a = operand_layout<TransA>(kBoxBytes), layout_b = operand_layout<!TransB>(kBoxBytes);
    const uint32_t at_a = shared_address(ring) + half * kBoxBytes, at_b = shared_address(ring) + kBytesA;
    const ProductOptions& options = arguments.options;
    RingPosition position;
    for (int block = (int)blockIdx.x; block < options.blocks; block += (int)gridDim.x) {
        const TileOfProduct tile(arguments, block);
        const MappedSegment* segments = arguments.segments + tile.product.segment;
        float sums[8][4][4];
#pragma unroll
        for (int p = 0; p < 8; p++)
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) sums[p][j][e] = 0.0f;

        // Adds `count` stages; while the products of one are computed, those of the one before are waited for and its stage is given back.
        auto add = [&](int count) {
            int read = -1;
            for (int t = 0; t < count; t++) {
                barrier_wait(full + position.stage, position.parity);
                const uint32_t stage = position.stage * kStageBytes;
                warpgroup_fence();
#pragma unroll
                for (int step = 0; step < kK / 16; step++) {
                    const uint64_t a = operand_at(layout_a, at_a + stage + step * kStepA), b = operand_at(layout_b, at_b + stage + step * kStepB);
                    warpgroup_mma<T, TransA, !TransB>(sums, a, b);
                }
                warpgroup_commit();
                warpgroup_wait<1>();
                if (read >= 0 && lane_index() == 0) barrier_arrive(empty + read);
                read = position.stage;
                position.advance();
            }
            warpgroup_wait<0>();
            if (read >= 0 && lane_index() == 0) barrier_arrive(empty + read);
        };
        int count = tiles_of_k(segments, tile.product.segments);
        if constexpr (!TransA && !TransB) {
            const int dropped = tiles_of_k(segments, options.dropped_segments);
            if (dropped > 0) {
                add(dropped);
                drop_sums(sums, options.dropout, tile.row + warp_row, 0, tile.column, 32, tile.product.n);
                count -= dropped;
            }
        }
        add(count);
        const Epilogue epilogue(tile.product, options);
        Columns::hand_out(sums, strip, [&](int piece, int row, int column, float (&values)[8]) {
            epilogue(tile.row + warp_row + row, tile.column + piece * 32 + column, values);
        });
    }
}

template <class T, bool TransA, bool TransB>
DEVICE void matmul_hopper(const HopperArguments& arguments) {
    SHARED_DYNAMIC(shared);
    float* strips = reinterpret_cast<float*>(shared + kStages * kStageBytes);
    uint64_t *full = reinterpret_cast<uint64_t*>(shared + kStages * kStageBytes + kStripBytes), *empty = full + kStages;
    if (threadIdx.x == 0) {
        for (int i = 0; i < kStages; i++) {
            barrier_init(full + i, 1);
            barrier_init(empty + i, kConsumerWarps);
        }
        barrier_init_fence();
    }
    sync_block();
    // 40 + 2 · 232 registers are what three groups of 168 have.
    if (threadIdx.x < kGroup) {
        registers_release<40>();
        if (threadIdx.x == 0) produce<TransA, TransB>(arguments, shared, full, empty);
    } else {
        registers_take<232>();
        consume<T, TransA, TransB>(arguments, shared, strips + (warp_index() - 4) * Columns::kFloats, full, empty);
    }
}

#define MATMUL_HOPPER(form, trans_a, trans_b, type) \
    KERNEL(matmul_hopper_##form##_##type, kThreads, 1, const GRID_CONSTANT HopperArguments arguments) { matmul_hopper<type, trans_a, trans_b>(arguments); }
#define MATMUL_HOPPER_OF_TYPE(type) \
    MATMUL_HOPPER(nn, false, false, type) \
    MATMUL_HOPPER(nt, false, true, type) \
    MATMUL_HOPPER(tn, true, false, type)
MATMUL_HOPPER_OF_TYPE(f16)
MATMUL_HOPPER_OF_TYPE(bf16)
