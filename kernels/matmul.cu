// c [M, N] = f(alpha · Σ over segments of op(a) [M, K] · op(b) [K, N] + bias [N]), or added to c; f16 or bf16 in, float32 sums, any float type out.
//
// FLOPs 2·M·N·K; HBM floor 2·(M·K + N·K) + sizeof(c)·M·N bytes. 8192 × 4096 × 4096 in bf16: 275 GFLOP (1.1 ms on an A100 at 250 TFLOP/s), 168 MB.
//
// matmul_<shape>_<form>_<type>: the form has a letter for each operand, n as it is ([M, K] and [K, N]), t transposed. One launch computes several products,
// each with segments of its own: what blocks share is the grid, so that narrow products fill the GPU together. Blocks walk groups of 8 rows of tiles, so that
// those that run at the same time share lines of both operands in L2.
//
// matmul_pack prepares operands: the rows of a matrix of any float type and any strides become rows of f16 or bf16 that start at multiples of 16 bytes, with
// zeros behind them; or planes of bf16, of which each takes 8 bits of what those before it leave: three sum up to a float32 exactly.
#include "core/mainloop.cuh"

template <class T>
struct MatMulArguments {
    Segment<T> segments[kMaxSegments];
    Product products[kMaxProducts];
    ProductOptions options;
};

// 96 KB of shared memory and one block a multiprocessor: the least traffic from L2. 48 KB and two blocks. Less than a wave of large tiles. A few rows: W
// streams through as many multiprocessors as there are, 20 KB under way in each block.
using Wide = BlockShape<128, 256, 32, 64, 64, 4>;
using Large = BlockShape<128, 128, 32, 64, 64, 3>;
using Medium = BlockShape<64, 64, 64, 32, 32, 3>;
using Small = BlockShape<32, 32, 64, 32, 16, 6>;

struct PackJob {
    const void* source;
    void* packed;
    int64_t row_stride, column_stride;  // of the source
    int64_t packed_stride;              // a multiple of 8
    int64_t plane;                      // elements from plane to plane
    int32_t source_type, packed_type, rows, columns;
    int32_t planes;                     // of bf16; one of f16
    int32_t unused;
};
constexpr int kMaxPackJobs = 32;
struct PackArguments {
    PackJob jobs[kMaxPackJobs];
};

// Multiplies the sums by the mask when all dropped tiles are in them.
template <class Loop>
struct DropSums {
    Dropout dropout;
    int tiles, row, column, n;

    DEVICE void fragment(uint32_t (&)[4], int, int) const {}

    DEVICE void before_tile(int t, typename Loop::Sums& sums) const {
        if (t == tiles && t > 0) drop_sums(sums, dropout, row + Loop::warp_row(), 16, column + Loop::warp_column(), 0, n);
    }
};

template <class T, class Shape, bool TransA, bool TransB>
DEVICE void matmul(const MatMulArguments<T>& arguments) {
    using Loop = MainLoop<T, Shape, TransA, TransB>;
    SHARED_DYNAMIC(shared);
    const ProductOptions& options = arguments.options;
    const Product& product = product_of(arguments.products, options.count, (int)blockIdx.x);
    const int m = product.m, n = product.n;
    const TilePosition position((int)blockIdx.x - product.first_block, ceil_div(m, Shape::kM), ceil_div(n, Shape::kN));
    const int row = position.row * Shape::kM, column = position.column * Shape::kN;
    const Segment<T>* segments = arguments.segments + product.segment;
    constexpr typename Loop::Range kAll{0, 0x7fffffff};
    typename Loop::Sums sums;
    if constexpr (!TransA && !TransB) {
        DropSums<Loop> drop{options.dropout, Loop::tiles(segments, options.dropped_segments, kAll), row, column, n};
        Loop::run(segments, product.segments, kAll, row, m, column, n, shared, sums, drop);
    } else {
        Loop::run(segments, product.segments, kAll, row, m, column, n, shared, sums, NothingBetween());
    }
    Loop::store(sums, shared, row, column, Epilogue(product, options));
}

template <class From>
DEVICE void load_values(const PackJob& job, int row, int column, float (&values)[8]) {
    const From* from = static_cast<const From*>(job.source) + row * job.row_stride + column * job.column_stride;
    if (job.column_stride == 1 && column + 8 <= job.columns && reinterpret_cast<uint64_t>(from) % 16 == 0) {
        constexpr int kCount = Packet<From>::kCount;
#pragma unroll
        for (int first = 0; first < 8; first += kCount) {
            Packet<From> packet = load_packet(from + first);
#pragma unroll
            for (int i = 0; i < kCount; i++) values[first + i] = to_float(packet.values[i]);
        }
    } else {
#pragma unroll
        for (int i = 0; i < 8; i++) values[i] = column + i < job.columns ? to_float(from[i * job.column_stride]) : 0.0f;
    }
}

template <class To>
DEVICE void store_rounded(To* to, const float (&values)[8]) {
    Packet<To> packet;
#pragma unroll
    for (int i = 0; i < 8; i++) packet.values[i] = from_float<To>(values[i]);
    store_packet(to, packet);
}

// A thread packs 8 columns; blocks are (256 threads' share of the largest job, job).
KERNEL(matmul_pack, 256, 4, PackArguments arguments) {
    const PackJob& job = arguments.jobs[blockIdx.y];
    const int chunks = ceil_div(job.columns, 8);
    const int64_t index = (int64_t)blockIdx.x * 256 + threadIdx.x;
    if (index >= (int64_t)job.rows * chunks) return;
    const int row = (int)(index / chunks), column = (int)(index % chunks) * 8;
    float values[8];
    if (job.source_type == kF32) load_values<f32>(job, row, column, values);
    else if (job.source_type == kBF16) load_values<bf16>(job, row, column, values);
    else load_values<f16>(job, row, column, values);
    const int64_t at = row * job.packed_stride + column;
    if (job.packed_type == kF16) {
        store_rounded(static_cast<f16*>(job.packed) + at, values);
        return;
    }
    bf16* to = static_cast<bf16*>(job.packed) + at;
#pragma unroll 1
    for (int plane = 0; plane < job.planes; plane++, to += job.plane) {
        store_rounded(to, values);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            // Where a plane is infinite or NaN it says all there is to say.
            float rest = values[i] - to_float(from_float<bf16>(values[i]));
            values[i] = fabsf(rest) < kInfinity ? rest : 0.0f;
        }
    }
}

#define MATMUL(shape, Shape, blocks, form, trans_a, trans_b, type) \
    KERNEL(matmul_##shape##_##form##_##type, Shape::kThreads, blocks, MatMulArguments<type> arguments) { matmul<type, Shape, trans_a, trans_b>(arguments); }

#define MATMUL_OF_TYPE(type) \
    MATMUL(wide, Wide, 1, nn, false, false, type) \
    MATMUL(wide, Wide, 1, nt, false, true, type) \
    MATMUL(wide, Wide, 1, tn, true, false, type) \
    MATMUL(large, Large, 2, nn, false, false, type) \
    MATMUL(large, Large, 2, nt, false, true, type) \
    MATMUL(large, Large, 2, tn, true, false, type) \
    MATMUL(medium, Medium, 3, nn, false, false, type) \
    MATMUL(medium, Medium, 3, nt, false, true, type) \
    MATMUL(medium, Medium, 3, tn, true, false, type) \
    MATMUL(medium, Medium, 3, tt, true, true, type) \
    MATMUL(small, Small, 4, nn, false, false, type) \
    MATMUL(small, Small, 4, nt, false, true, type)

MATMUL_OF_TYPE(f16)
MATMUL_OF_TYPE(bf16)
