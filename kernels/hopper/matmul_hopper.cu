// matmul.cu's products on Hopper: the same sums of segments, by warpgroup_mma (wgmma) out of shared memory that the copy engine (TMA) fills. cuBLAS reaches
// about 780 TFLOP/s this way on an H200, mma.sync at most two thirds of that.
//
// A block of three warpgroups stays on its multiprocessor and computes one tile of 128 × 256 after the other (ring.cuh): one thread of the first group keeps the
// ring full and runs ahead into the next tile while the two others, each with 64 rows, finish theirs.
//
// matmul_hopper_<form>_<type>, forms as in matmul.cu.
#include "../core/product.cuh"
#include "ring.cuh"

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
DEVICE void produce(const HopperArguments& arguments, const Ring& ring) {
    RingPosition position;
    for (int block = (int)blockIdx.x; block < arguments.options.blocks; block += (int)gridDim.x) {
        const TileOfProduct tile(arguments, block);
        for (int i = 0; i < tile.product.segments; i++) {
            const MappedSegment segment = arguments.segments[tile.product.segment + i];
            for (int k = 0; k < segment.k; k += kK)
                fill_stage<TransA, TransB>(ring, position, arguments.maps + segment.a, arguments.maps + segment.b, tile.row, tile.column, k);
        }
    }
}

DEVICE int tiles_of_k(const MappedSegment* segments, int count) {
    int sum = 0;
    for (int i = 0; i < count; i++) sum += ceil_div(segments[i].k, kK);
    return sum;
}

template <class T, bool TransA, bool TransB>
DEVICE void consume(const HopperArguments& arguments, const Ring& ring, float* strip) {
    Multiplier<T, TransA, TransB> multiplier(ring);
    const int warp_row = multiplier.warp_row();
    const ProductOptions& options = arguments.options;
    for (int block = (int)blockIdx.x; block < options.blocks; block += (int)gridDim.x) {
        const TileOfProduct tile(arguments, block);
        const MappedSegment* segments = arguments.segments + tile.product.segment;
        float sums[8][4][4];
        multiplier.clear(sums);
        int count = tiles_of_k(segments, tile.product.segments);
        if constexpr (!TransA && !TransB) {
            const int dropped = tiles_of_k(segments, options.dropped_segments);
            if (dropped > 0) {
                multiplier.add(sums, dropped);
                drop_sums(sums, options.dropout, tile.row + warp_row, 0, tile.column, 32, tile.product.n);
                count -= dropped;
            }
        }
        multiplier.add(sums, count);
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
    uint64_t* barriers = reinterpret_cast<uint64_t*>(shared + kStages * kStageBytes + kStripBytes);
    const Ring ring{shared, barriers, barriers + kStages};
    if (threadIdx.x == 0) {
        ring.init(kConsumerWarps);
        barrier_init_fence();
    }
    sync_block();
    if (threadIdx.x < kGroup) {
        registers_release<kProducerRegisters>();
        if (threadIdx.x == 0) produce<TransA, TransB>(arguments, ring);
    } else {
        registers_take<kConsumerRegisters>();
        consume<T, TransA, TransB>(arguments, ring, strips + (warp_index() - 4) * Columns::kFloats);
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
