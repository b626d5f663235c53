// Fragments of the rows of a product on their way from a tile in shared memory to the tensor cores.
//
// Rows may be stored in another type R than the product's T: bytes and float32 come into shared memory as they are, and are widened or rounded between there
// and the tensor cores. ldmatrix gives a lane other elements of k then than those that its fragment has by T, which is no matter where the other operand has
// its k in the same order.
#pragma once
#include "tile.cuh"

// Which k of 16 stands in place `place` of an A fragment of rows that are stored as R.
template <class R>
DEVICE int fragment_order(int place) {
    const int pair = place / 2 % 4, odd = place % 2, upper = place / 8;
    if constexpr (sizeof(R) == 1) return pair * 4 + upper * 2 + odd;
    else if constexpr (sizeof(R) == 4) return pair + odd * 4 + upper * 8;
    else return place;
}

// The fragments of a warp's pieces of 16 rows in one step of 16 k, from a tile of rows of R in units of 16 bits.
template <class T, class R, class Tile, int Pieces, bool Trans>
struct Fragments {
    uint32_t registers[Pieces][4];

    static DEVICE int lane(int row) { return Trans ? Tile::lane_along(0, row / 8) : Tile::lane_down(row, 0); }
    DEVICE void load(const T* tile, int lane, int step) {
#pragma unroll
        for (int i = 0; i < Pieces; i++) {
            if (Trans) load_matrix_x4_transposed(registers[i], tile + (lane ^ i * 16) + step * 16 * Tile::kColumns);
            else load_matrix_x4(registers[i], tile + (lane ^ step * 16) + i * 16 * Tile::kColumns);
        }
    }
    DEVICE void get(int piece, uint32_t (&a)[4]) const {
#pragma unroll
        for (int i = 0; i < 4; i++) a[i] = registers[piece][i];
    }
};

// Four bytes a lane and row: two pieces come at once.
template <class T, class Tile, int Pieces>
struct Fragments<T, s8, Tile, Pieces, false> {
    static_assert(Pieces % 2 == 0, "pairs of pieces");
    uint32_t registers[Pieces / 2][4];

    static DEVICE int lane(int row) { return Tile::offset(row + lane_index(), 0); }
    DEVICE void load(const T* tile, int lane, int step) {
#pragma unroll
        for (int i = 0; i < Pieces / 2; i++) load_matrix_x4(registers[i], tile + (lane ^ step * 8) + i * 32 * Tile::kColumns);
    }
    DEVICE void get(int piece, uint32_t (&a)[4]) const {
        widen_s8(registers[piece / 2][piece % 2 * 2], a[0], a[2]);
        widen_s8(registers[piece / 2][piece % 2 * 2 + 1], a[1], a[3]);
    }
};

// One float a lane, row and chunk of four: rounded at once, for lack of registers.
template <class T, class Tile, int Pieces>
struct Fragments<T, f32, Tile, Pieces, false> {
    uint32_t registers[Pieces][4];

    static DEVICE int lane(int row) { return Tile::lane_down(row, 0); }
    DEVICE void load(const T* tile, int lane, int step) {
#pragma unroll
        for (int i = 0; i < Pieces; i++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                uint32_t floats[4];
                load_matrix_x4(floats, tile + (lane ^ (step * 32 + half * 16)) + i * 16 * Tile::kColumns);
                registers[i][half * 2] = pack<T>(bits_to_float(floats[0]), bits_to_float(floats[2]));
                registers[i][half * 2 + 1] = pack<T>(bits_to_float(floats[1]), bits_to_float(floats[3]));
            }
    }
    DEVICE void get(int piece, uint32_t (&a)[4]) const {
#pragma unroll
        for (int i = 0; i < 4; i++) a[i] = registers[piece][i];
    }
};
