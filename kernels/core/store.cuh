// What stands at the end of a product: which tile a block has, the activation of a packet, and its way to a matrix of any float type.
#pragma once
#include "activation.cuh"
#include "warp.cuh"

// Numbers of storage types, as C#'s enum DType.
constexpr int kF32 = 0, kF16 = 1, kBF16 = 2;

// The tile of block number `block`: down groups of 8 rows of tiles, then to the right.
struct TilePosition {
    int row, column;

    DEVICE TilePosition(int block, int rows, int columns) {
        constexpr int kGroup = 8;
        int group = block / (kGroup * columns), within = block % (kGroup * columns), height = min_of(rows - group * kGroup, kGroup);
        row = group * kGroup + within % height;
        column = within / height;
    }
};

DEVICE void activate_packet(int activation, float (&values)[8]) {
    for_activation(activation, [&](auto kind) {
#pragma unroll
        for (int i = 0; i < 8; i++) values[i] = activate<decltype(kind)::value>(values[i]);
    });
}

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
