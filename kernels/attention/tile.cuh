// Tiles of attention: rows of D elements in shared memory, and the two matrix products that both passes are made of, with the product in registers.
//
// A warp holds 16 M rows × 8 N columns as float c[M][N][4], the fragment C of mma (ptx.cuh): lane l with g = l / 4, t = l % 4 has in c[m][n][e] row
// 16 m + g + 8 (e / 2), column 8 n + 2 t + e % 2. Two neighbouring n of it, rounded, are the fragment A of the next product, so that probabilities never
// leave the registers. In float32 there is no such instruction of full precision: the same elements are computed with FMA, and probabilities go through a
// piece of shared memory of the warp's own.
#pragma once
#include "../core/warp.cuh"

// Elements between two rows of a tile: one 16-byte chunk more than the row, so that their number is odd (D is a multiple of 16) and the 8 rows that ldmatrix
// reads at once lie in 8 different groups of banks.
template <class T, int D>
constexpr int kTileStride = D + 16 / (int)sizeof(T);

// Floats between two rows of a warp's scratch, and of all of it: M · 16 rows of N · 8 columns.
template <class T, int N>
constexpr int kScratchStride = 8 * N + (sizeof(T) == 2 ? 1 : 4);
template <class T, int M, int N>
constexpr int kScratchFloats = 16 * M * kScratchStride<T, N>;

// Starts the copy of Rows rows of `columns` elements, `stride` apart, into a tile: zeros from row `count` (at least 1) and from column `columns` on.
// `vectors`: source, stride and columns are multiples of 16 bytes. The caller commits and waits.
template <class T, int D, int Rows, int Threads>
DEVICE void load_tile(T* tile, const T* source, int stride, int count, int columns, bool vectors) {
    constexpr int kPacket = Packet<T>::kCount, kChunks = D / kPacket, kStep = Threads / kChunks;
    static_assert(kStep > 0, "a thread for each chunk of a row");
    int thread = opaque((int)threadIdx.x);
    if (vectors) {
        // A thread stays in its column; those that do not fill a row more have nothing to do.
        int row = thread / kChunks, column = thread % kChunks * kPacket;
        T* to = tile + row * kTileStride<T, D> + column;
        const T* from = source + row * stride + column;
        if (Threads % kChunks != 0 && row >= kStep) return;
#pragma unroll
        for (int first = 0; first < Rows; first += kStep) {
            if (Rows % kStep != 0 && first + kStep > Rows && row >= Rows) break;
            copy_async_if(to, from, row < count && column < columns);
            row += kStep;
            to += kStep * kTileStride<T, D>;
            from += kStep * stride;
        }
        return;
    }
#pragma unroll 1
    for (int chunk = thread; chunk < Rows * kChunks; chunk += Threads) {
        int row = chunk / kChunks, column = chunk % kChunks * kPacket;
        Packet<T> packet = {};
#pragma unroll
        for (int e = 0; e < kPacket; e++)
            if (row < count && column + e < columns) packet.values[e] = source[row * stride + column + e];
        store_packet(tile + row * kTileStride<T, D> + column, packet);
    }
}

// Writes c, a warp's 16 M rows, to global memory by way of the same rows of a tile that no other warp touches any more: of `Columns` columns from
// `first_column` on, those below `columns`; of the rows those below `count`.
template <class T, int D, int Columns, int M>
DEVICE void store_rows(const float (&c)[M][Columns / 8][4], T* tile, int first_column, T* destination, int stride, int count, int columns, bool vectors) {
    constexpr int kPacket = Packet<T>::kCount, kChunks = Columns / kPacket;
    int lane = opaque(lane_index());
    sync_warp();  // other lanes may still read these rows
    tile += first_column;
    destination += first_column;
    columns -= first_column;
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
        for (int n = 0; n < Columns / 8; n++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                T* to = tile + (16 * m + 8 * half + lane / 4) * kTileStride<T, D> + 8 * n + lane % 4 * 2;
                if constexpr (sizeof(T) == 2) {
                    *reinterpret_cast<uint32_t*>(to) = pack<T>(c[m][n][2 * half], c[m][n][2 * half + 1]);
                } else {
                    to[0] = c[m][n][2 * half];
                    to[1] = c[m][n][2 * half + 1];
                }
            }
        }
    }
    sync_warp();
#pragma unroll 1
    for (int chunk = lane; chunk < 16 * M * kChunks; chunk += kWarp) {
        int row = chunk / kChunks, column = chunk % kChunks * kPacket;
        if (row >= count || column >= columns) continue;
        Packet<T> packet = load_packet(tile + row * kTileStride<T, D> + column);
        T* to = destination + row * stride + column;
        if (vectors) {
            store_packet(to, packet);
            continue;
        }
#pragma unroll
        for (int e = 0; e < kPacket; e++)
            if (column + e < columns) to[e] = packet.values[e];
    }
}

// c += a · bᵀ over D columns: a has the warp's 16 M rows, b 8 N rows.
template <class T, int D, int M, int N>
DEVICE void multiply_transposed(float (&c)[M][N][4], const T* a, const T* b) {
    constexpr int kStride = kTileStride<T, D>;
    int lane = opaque(lane_index());
    if constexpr (sizeof(T) == 2) {
        a += lane % 16 * kStride + lane / 16 * 8;
        b += (lane / 16 * 8 + lane % 8) * kStride + lane / 8 % 2 * 8;
#pragma unroll
        for (int k = 0; k < D; k += 16) {
            uint32_t left[M][4], right[4];
#pragma unroll
            for (int m = 0; m < M; m++) load_matrix_x4(left[m], a + 16 * m * kStride + k);
#pragma unroll
            for (int n = 0; n < N; n += 2) {
                load_matrix_x4(right, b + 8 * n * kStride + k);
#pragma unroll
                for (int m = 0; m < M; m++) {
                    mma<T>(c[m][n], left[m], right[0], right[1]);
                    mma<T>(c[m][n + 1], left[m], right[2], right[3]);
                }
            }
        }
    } else {
        a += lane / 4 * kStride;
        b += lane % 4 * 2 * kStride;
#pragma unroll 1
        for (int k = 0; k < D; k += 4) {
            Packet<T> left[2 * M];
#pragma unroll
            for (int m = 0; m < 2 * M; m++) left[m] = load_packet(a + 8 * m * kStride + k);
#pragma unroll
            for (int n = 0; n < 2 * N; n++) {
                Packet<T> right = load_packet(b + (n / 2 * 8 + n % 2) * kStride + k);
#pragma unroll
                for (int m = 0; m < 2 * M; m++)
#pragma unroll
                    for (int e = 0; e < 4; e++)
                        c[m / 2][n / 2][m % 2 * 2 + n % 2] = fmaf(left[m].values[e], right.values[e], c[m / 2][n / 2][m % 2 * 2 + n % 2]);
            }
        }
    }
}

// Puts a warp's 16 M rows × 8 N columns into its scratch. All lanes see them afterwards.
template <class T, int M, int N>
DEVICE void store_scratch(float* scratch, const float (&p)[M][N][4]) {
    int lane = opaque(lane_index());
    sync_warp();
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                scratch[(16 * m + lane / 4 + e / 2 * 8) * kScratchStride<T, N> + 8 * n + lane % 4 * 2 + e % 2] = p[m][n][e];
    sync_warp();
}

// A warp's 16 M rows × 8 N columns as the left side of a product, rounded to T: fragments A of mma, or float32 in the scratch.
template <class T, int M, int N>
struct LeftSide {
    uint32_t fragments[N / 2][M][4];

    DEVICE LeftSide(const float (&p)[M][N][4], float*) {
#pragma unroll
        for (int k = 0; k < N; k += 2)
#pragma unroll
            for (int m = 0; m < M; m++)
#pragma unroll
                for (int e = 0; e < 4; e++) fragments[k / 2][m][e] = pack<T>(p[m][k + e / 2][e % 2 * 2], p[m][k + e / 2][e % 2 * 2 + 1]);
    }
};
template <int M, int N>
struct LeftSide<float, M, N> {
    const float* rows;

    DEVICE LeftSide(const float (&p)[M][N][4], float* scratch) : rows(scratch + opaque(lane_index()) / 4 * kScratchStride<float, N>) {
        store_scratch<float>(scratch, p);
    }
};

// c += left · b: b has 8 N rows, of which `Columns` columns count.
template <class T, int D, int Columns, int M, int N>
DEVICE void multiply(float (&c)[M][Columns / 8][4], const LeftSide<T, M, N>& left, const T* b) {
    constexpr int kStride = kTileStride<T, D>;
    int lane = opaque(lane_index());
    if constexpr (sizeof(T) == 2) {
        b += lane % 16 * kStride + lane / 16 * 8;
#pragma unroll
        for (int k = 0; k < N; k += 2) {
#pragma unroll
            for (int n = 0; n < Columns / 8; n += 2) {
                uint32_t right[4];
                load_matrix_x4_transposed(right, b + 8 * k * kStride + 8 * n);
#pragma unroll
                for (int m = 0; m < M; m++) {
                    mma<T>(c[m][n], left.fragments[k / 2][m], right[0], right[1]);
                    mma<T>(c[m][n + 1], left.fragments[k / 2][m], right[2], right[3]);
                }
            }
        }
    } else {
        b += lane % 4 * 2;
#pragma unroll 1
        for (int k = 0; k < 8 * N; k++) {
            float column[2 * M];
#pragma unroll
            for (int m = 0; m < 2 * M; m++) column[m] = left.rows[8 * m * kScratchStride<T, N> + k];
#pragma unroll
            for (int n = 0; n < Columns / 8; n++) {
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    float right = b[k * kStride + 8 * n + e];
#pragma unroll
                    for (int m = 0; m < 2 * M; m++) c[m / 2][n][m % 2 * 2 + e] = fmaf(column[m], right, c[m / 2][n][m % 2 * 2 + e]);
                }
            }
        }
    }
}
