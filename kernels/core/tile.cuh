// A tile of 16-bit elements in shared memory, filled by asynchronous copies and read by ldmatrix without bank conflicts.
//
// Rows lie one behind the other in chunks of 8 elements (16 bytes). ldmatrix reads one chunk of 8 consecutive rows at a time, which must stand in 8 different
// groups of 4 banks: chunk c of row r is stored as chunk c ^ (r & 7), in rows shorter than 128 bytes (which share their banks with fewer others)
// c ^ (r >> 1 & 3) or c ^ (r >> 2 & 1). These are the 128-, 64- and 32-byte modes of Hopper's copy engine and wgmma as well.
//
// Two consequences save arithmetic. 8 rows further is 8 · Columns elements further. And where the bits of a chunk number c do not meet those of d, chunk c + d
// stands at offset(row, c) ^ (d · 8).
#pragma once
#include "warp.cuh"

template <class T, int Rows, int Columns>
struct Tile {
    static_assert(sizeof(T) == 2 && Columns % 16 == 0 && (Columns & (Columns - 1)) == 0, "rows of whole chunks, a power of two of them");
    static constexpr int kRows = Rows, kColumns = Columns, kChunks = Columns / 8, kElements = Rows * Columns;

    // Where a chunk begins, in elements.
    static DEVICE int offset(int row, int chunk) {
        constexpr int kShift = kChunks >= 8 ? 0 : kChunks == 4 ? 1 : 2, kMask = kChunks >= 8 ? 7 : kChunks - 1;
        return row * Columns + (chunk ^ (row >> kShift & kMask)) * 8;
    }

    // Where lane l finds its row of the four matrices of ldmatrix whose corner is (row, chunk), row a multiple of 8: matrices 0 and 1 below each other, …
    static DEVICE int lane_down(int row, int chunk) { return offset(row + lane_index() % 16, chunk + lane_index() / 16); }
    // … or beside each other.
    static DEVICE int lane_along(int row, int chunk) { return offset(row + lane_index() / 16 * 8 + lane_index() % 8, chunk + lane_index() / 8 % 2); }
};

// A thread's share in copying tile after tile of a matrix whose k runs along its rows (AlongRows) or down its columns. Rows start at multiples of 16 bytes and
// are readable in whole chunks; what a last chunk has behind the end of k must be zero. What lies past the matrix arrives as zeros.
template <class Tile, class T, int Threads, bool AlongRows>
struct TileCopier {
    static constexpr int kStep = Threads / Tile::kChunks;
    static_assert(Threads % Tile::kChunks == 0 && kStep % 8 == 0 && Tile::kRows % kStep == 0, "a thread's chunks stand in one column, with one swizzle");

    const T* from;  // this thread's first chunk of the next tile
    int64_t step;   // elements between its chunks
    int left;       // rows from its first on, with AlongRows; else columns from its chunk on

    static DEVICE int first_row() { return (int)threadIdx.x / Tile::kChunks; }
    static DEVICE int chunk() { return (int)threadIdx.x % Tile::kChunks; }

    // The tiles of `matrix` from `k` on, across: first row or column of the other dimension, of which there are `size`.
    DEVICE void begin(const T* matrix, int64_t stride, int k, int across, int size) {
        from = AlongRows ? matrix + (across + first_row()) * stride + k + chunk() * 8 : matrix + (k + first_row()) * stride + across + chunk() * 8;
        step = kStep * stride;
        left = AlongRows ? size - across - first_row() : size - across - chunk() * 8;
    }

    // Starts the copies of the next tile, of which `k_left` are inside the matrix.
    DEVICE void copy(T* tile, int k_left) {
        T* to = tile + Tile::offset(first_row(), chunk());
        const T* at = from;
#pragma unroll
        for (int i = 0; i < Tile::kRows / kStep; i++) {
            bool inside = AlongRows ? i * kStep < left && chunk() * 8 < k_left : first_row() + i * kStep < k_left && 0 < left;
            copy_async_if(to + i * kStep * Tile::kColumns, at, inside);
            at += step;
        }
        from = AlongRows ? from + Tile::kColumns : at;
    }
};
