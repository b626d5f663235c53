// The narrow products of LoRA (Hu et al. 2021), whose short side is the rank R. The wide ones, y = x·Wᵀ + s·Bᵀ and dx = dy·W + ds·A, are matmul.cu's, with s·Bᵀ
// and ds·A as further segments of k.
//
//   s [M, R]  = scale · drop(x) [M, K] · Aᵀ           lora_partial_nt, once for all adapters that share x: their A's lie one below the other
//   ds [M, R] = scale · dy [M, N] · B                 lora_partial_nt, with Bᵀ
//   dB [N, R] += dyᵀ · s,  dAᵀ [K, R] += drop(x)ᵀ·ds  lora_partial_tn
//   dbias [N] += Σ rows of dy                         lora_bias
//
// FLOPs 2·M·K·R, a tenth of what the traffic of x costs: the floor is one pass over the wide operand, 2·M·K bytes (8192 × 4096: 67 MB, 0.037 ms on an A100).
// Each is split along the sum, 1,024 elements a part whatever the other sizes, so that many blocks share a long sum and a row does not depend on the number of
// rows; lora_reduce adds the parts in order, scales, rounds, and adds to a gradient. Dropout is drawn again wherever x is read: a mask of 0 and 1 on the
// fragments of x, 1 / (1 - p) in the scale.
#include "core/mainloop.cuh"

constexpr int kPart = 1024, kMaxReductions = 32;

struct NarrowProduct {
    float* parts;       // [parts of k, m, stride]
    int64_t stride;     // n rounded up to 8
    int64_t width;      // columns of the wide matrix, which the mask's index counts by
    int32_t m, n, k;
    int32_t segment, segments;
    int32_t first_block;
    int32_t drops;      // whether the mask applies
    int32_t unused;
};

template <class T>
struct NarrowArguments {
    Segment<T> segments[kMaxSegments];
    NarrowProduct products[kMaxProducts];
    Dropout dropout;
    int32_t count, unused;
};

// Each warp has 16 rows and all columns, so that every element of the wide operand is in one fragment only and its mask is drawn once.
using Narrow = BlockShape<64, 64, 64, 16, 64, 3>;

// Clears what dropout drops of the wide operand's fragments.
template <bool Transposed>
struct DropFragments {
    Dropout dropout;
    int64_t width;
    bool drops;

    DEVICE void fragment(uint32_t (&a)[4], int row, int k) const {
        if (!drops) return;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int64_t at_row = row + lane_index() / 4 + i % 2 * 8, at_k = k + lane_index() % 4 * 2 + i / 2 * 8;
            uint64_t index = (uint64_t)(Transposed ? at_k * width + at_row : at_row * width + at_k), next = index + (Transposed ? (uint64_t)width : 1);
            if (!dropout.keeps(index)) a[i] &= 0xffff0000u;
            if (!dropout.keeps(next)) a[i] &= 0x0000ffffu;
        }
    }

    template <class Sums>
    DEVICE void before_tile(int, Sums&) const {}
};

// Blocks are (tiles of all products, parts of the longest).
template <class T, bool TransA, bool TransB>
DEVICE void lora_partial(const NarrowArguments<T>& arguments) {
    using Loop = MainLoop<T, Narrow, TransA, TransB>;
    SHARED_DYNAMIC(shared);
    int which = 0;
    while (which + 1 < arguments.count && (int)blockIdx.x >= arguments.products[which + 1].first_block) which++;
    const NarrowProduct& product = arguments.products[which];
    const int part = (int)blockIdx.y, m = product.m, n = product.n;
    if (part * kPart >= product.k) return;
    const int rows = ceil_div(m, Narrow::kM), tile = (int)blockIdx.x - product.first_block;
    const int row = tile % rows * Narrow::kM, column = tile / rows * Narrow::kN;
    typename Loop::Sums sums;
    DropFragments<TransA> drop{arguments.dropout, product.width, product.drops != 0};
    Loop::run(arguments.segments + product.segment, product.segments, {part * kPart, (part + 1) * kPart}, row, m, column, n, shared, sums, drop);

    const int64_t stride = product.stride;
    float* parts = product.parts + (int64_t)part * m * stride;
    Loop::store(sums, shared, row, column, [&](int at_row, int at_column, const float (&values)[8]) {
        if (at_row >= m || at_column >= stride) return;
        Packet<float> low{{values[0], values[1], values[2], values[3]}}, high{{values[4], values[5], values[6], values[7]}};
        store_packet(parts + at_row * stride + at_column, low);
        store_packet(parts + at_row * stride + at_column + 4, high);
    });
}

// y [rows, columns] = scale · Σ over `count` parts, or added to y. Several sums that go to one y lie side by side in the parts: they are one job, because nothing
// orders the blocks of two.
struct Reduction {
    const float* parts;
    void* y;
    int64_t part_stride, row_stride;      // of the parts
    int64_t y_row_stride, y_column_stride;
    int32_t count, rows, columns, addends, y_type, accumulate;
    float scale;
    int32_t unused;
};
struct ReduceArguments {
    Reduction jobs[kMaxReductions];
};

template <class Y>
DEVICE void put(const Reduction& job, int row, int column, float value) {
    Y* y = static_cast<Y*>(job.y) + row * job.y_row_stride + column * job.y_column_stride;
    *y = from_float<Y>(job.accumulate != 0 ? to_float(*y) + value : value);
}

// Blocks are (256 threads' share of the largest job, job).
KERNEL(lora_reduce, 256, 4, ReduceArguments arguments) {
    const Reduction& job = arguments.jobs[blockIdx.y];
    const int64_t index = (int64_t)blockIdx.x * 256 + threadIdx.x;
    if (index >= (int64_t)job.rows * job.columns) return;
    const int row = (int)(index / job.columns), column = (int)(index % job.columns);
    const float* from = job.parts + row * job.row_stride + column;
    float sum = 0.0f;
    for (int addend = 0; addend < job.addends; addend++, from += job.columns)
        for (int part = 0; part < job.count; part++) sum += from[part * job.part_stride];
    sum *= job.scale;
    if (job.y_type == kF32) put<float>(job, row, column, sum);
    else if (job.y_type == kBF16) put<bf16>(job, row, column, sum);
    else put<f16>(job, row, column, sum);
}

constexpr int kBiasRows = 128;

// parts [blockIdx.y, columns] = sums of 128 rows each of dy [rows, columns]; a thread has one column.
template <class T>
DEVICE void lora_bias(const T* dy, float* parts, int rows, int columns) {
    const int column = (int)(blockIdx.x * 256 + threadIdx.x), first = (int)blockIdx.y * kBiasRows, last = min_of(first + kBiasRows, rows);
    if (column >= columns) return;
    float sum = 0.0f;
#pragma unroll 4
    for (int row = first; row < last; row++) sum += to_float(dy[(int64_t)row * columns + column]);
    parts[(int64_t)blockIdx.y * columns + column] = sum;
}

#define LORA_PARTIAL(T) \
    KERNEL(lora_partial_nt_##T, Narrow::kThreads, 4, NarrowArguments<T> arguments) { lora_partial<T, false, true>(arguments); } \
    KERNEL(lora_partial_tn_##T, Narrow::kThreads, 4, NarrowArguments<T> arguments) { lora_partial<T, true, false>(arguments); }
LORA_PARTIAL(f16)
LORA_PARTIAL(bf16)

#define LORA_BIAS(T) \
    KERNEL(lora_bias_##T, 256, 4, const T* dy, float* parts, int rows, int columns) { lora_bias(dy, parts, rows, columns); }
LORA_BIAS(f32)
LORA_BIAS(f16)
LORA_BIAS(bf16)
