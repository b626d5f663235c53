// What products have in common beside their sums: which product and tile of it a block has, dropout on sums, and the way of the sums through the activation
// into a matrix of any float type. Sums come in pieces of 16 rows as the tensor cores leave them: lane l of the warp has rows l / 4 and l / 4 + 8, columns 2
// (l % 4) and the next of every 8.
#pragma once
#include "activation.cuh"
#include "dropout.cuh"
#include "warp.cuh"

// Numbers of storage types, as C#'s enum DType.
constexpr int kF32 = 0, kF16 = 1, kBF16 = 2;

// Of one launch: four projections in six parts of two operands each; eight products and one more.
constexpr int kMaxSegments = 48, kMaxProducts = 9;

struct Product {
    void* c;            // [m, n] of c_type, rows c_stride elements apart
    const float* bias;  // [n] or null
    int64_t c_stride;
    int32_t c_type, m, n;
    int32_t segment, segments;  // first of the list, and how many
    int32_t first_block;
};

// c = f(alpha · sums + bias), or added to c.
struct ProductOptions {
    int32_t count;  // of products
    int32_t blocks;  // of all of them
    int32_t activation, accumulate;
    float alpha;
    // The first `dropped_segments` of a product pass dropout, by the index row · n + column, before the others are added.
    int32_t dropped_segments;
    Dropout dropout;
};

// The product that block number `block` is for.
DEVICE const Product& product_of(const Product* products, int count, int block) {
    int which = 0;
    while (which + 1 < count && block >= products[which + 1].first_block) which++;
    return products[which];
}

// The tile of block number `block` of a product: down groups of 8 rows of tiles, then to the right.
struct TilePosition {
    int row, column;

    DEVICE TilePosition(int block, int rows, int columns) {
        constexpr int kGroup = 8;
        int group = block / (kGroup * columns), within = block % (kGroup * columns), height = min_of(rows - group * kGroup, kGroup);
        row = group * kGroup + within % height;
        column = within / height;
    }
};

// Multiplies sums by dropout's mask. `row` and `column` are of the first piece; the next ones stand row_step and column_step further.
template <int Pieces, int Eighths>
DEVICE void drop_sums(float (&sums)[Pieces][Eighths][4], const Dropout& dropout, int row, int row_step, int column, int column_step, int n) {
    static_assert(Eighths <= 8, "a bit for each sum of a piece");
    row += lane_index() / 4;
    column += lane_index() % 4 * 2;
#pragma unroll
    for (int i = 0; i < Pieces; i++) {
        uint32_t kept = 0;
#pragma unroll 1
        for (int e = 0; e < Eighths * 4; e++) {
            int64_t at_row = row + i * row_step + e / 2 % 2 * 8, at_column = column + i * column_step + e / 4 * 8 + e % 2;
            kept |= (uint32_t)dropout.keeps((uint64_t)(at_row * n + at_column)) << e;
        }
#pragma unroll
        for (int e = 0; e < Eighths * 4; e++) sums[i][e / 4][e % 4] = (kept >> e & 1) != 0 ? sums[i][e / 4][e % 4] * dropout.scale : 0.0f;
    }
}

// Hands out a warp's sums, put(piece, row, column, values) for 8 neighbouring columns at a time, by way of a strip of shared memory so that neighbouring
// lanes have neighbouring packets.
template <int Eighths>
struct Strip {
    // Rows begin 8 banks apart: eight lanes' pairs of sums fall on 16 different banks.
    static constexpr int kPitch = Eighths * 8 + 8, kFloats = 16 * kPitch;
    static_assert(kPitch % 32 == 8 || kPitch % 32 == 24, "rows begin 8 banks apart");

    template <int Pieces, class Put>
    static DEVICE void hand_out(const float (&sums)[Pieces][Eighths][4], float* strip, const Put& put) {
        const int g = lane_index() / 4, t = lane_index() % 4;
#pragma unroll 1
        for (int piece = 0; piece < Pieces; piece++) {
#pragma unroll
            for (int i = 0; i < Pieces; i++) {
                if (i != piece) continue;
#pragma unroll
                for (int j = 0; j < Eighths; j++) {
#pragma unroll
                    for (int half = 0; half < 2; half++) {
                        float* to = strip + (g + 8 * half) * kPitch + j * 8 + 2 * t;
                        to[0] = sums[i][j][2 * half];
                        to[1] = sums[i][j][2 * half + 1];
                    }
                }
            }
            sync_warp();
#pragma unroll 1
            for (int packet = lane_index(); packet < 16 * Eighths; packet += kWarp) {
                const int row = packet / Eighths, column = packet % Eighths * 8;
                Packet<float> low = load_packet(strip + row * kPitch + column), high = load_packet(strip + row * kPitch + column + 4);
                float values[8];
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    values[i] = low.values[i];
                    values[4 + i] = high.values[i];
                }
                put(piece, row, column, values);
            }
            sync_warp();
        }
    }
};

// A matrix [rows, columns] that packets of 8 columns are rounded into or added to; in whole 16-byte accesses where it lies so.
struct Output {
    unsigned char* data;
    int type;
    int64_t stride;
    int columns;
    bool accumulate, whole;

    DEVICE Output(void* c, int c_type, int64_t c_stride, int n, bool adds)
        : data(static_cast<unsigned char*>(c)), type(c_type), stride(c_stride), columns(n), accumulate(adds),
          whole((reinterpret_cast<uint64_t>(c) | (uint64_t)(c_stride * (c_type == kF32 ? 4 : 2))) % 16 == 0) {}

    DEVICE void put(int row, int column, const float (&values)[8]) const {
        if (type == kF32) put_as<float>(row, column, values);
        else if (type == kBF16) put_as<bf16>(row, column, values);
        else put_as<f16>(row, column, values);
    }

    template <class C>
    DEVICE void put_as(int row, int column, const float (&values)[8]) const {
        C* to = reinterpret_cast<C*>(data) + row * stride + column;
        if (whole && column + 8 <= columns) {
            constexpr int kCount = Packet<C>::kCount;
#pragma unroll
            for (int first = 0; first < 8; first += kCount) {
                Packet<C> packet;
                if (accumulate) packet = load_packet(to + first);
#pragma unroll
                for (int i = 0; i < kCount; i++)
                    packet.values[i] = from_float<C>(accumulate ? to_float(packet.values[i]) + values[first + i] : values[first + i]);
                store_packet(to + first, packet);
            }
        } else {
#pragma unroll
            for (int i = 0; i < 8; i++)
                if (column + i < columns) to[i] = from_float<C>(accumulate ? to_float(to[i]) + values[i] : values[i]);
        }
    }
};

DEVICE void activate_packet(int activation, float (&values)[8]) {
    for_activation(activation, [&](auto kind) {
#pragma unroll
        for (int i = 0; i < 8; i++) values[i] = activate<decltype(kind)::value>(values[i]);
    });
}

// The end of a product: packets of sums into c.
struct Epilogue {
    Output output;
    const float* bias;
    float alpha;
    int activation, m, n;

    DEVICE Epilogue(const Product& product, const ProductOptions& options)
        : output(product.c, product.c_type, product.c_stride, product.n, options.accumulate != 0), bias(product.bias), alpha(options.alpha),
          activation(options.activation), m(product.m), n(product.n) {}

    DEVICE void operator()(int row, int column, float (&values)[8]) const {
        if (row >= m || column >= n) return;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            values[i] *= alpha;
            if (bias != nullptr && column + i < n) values[i] += bias[column + i];
        }
        activate_packet(activation, values);
        output.put(row, column, values);
    }
};
