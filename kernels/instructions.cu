// Every wrapper of core/ptx.cuh by itself, for InstructionTests: what the emulator takes for granted about an instruction, a GPU confirms when
// the same tests run there. No floor: nothing here is meant to be fast.
//
// Registers of fragments are kept as [lane][register].
#include "core/warp.cuh"

// r [32, 4] of four 8 × 8 matrices whose rows of 8 follow each other.
KERNEL(instruction_load_matrix, 32, 1, const uint16_t* matrices, uint32_t* r, int transposed) {
    SHARED(uint16_t, tile, 4 * 64);
    store_packet(tile + threadIdx.x * 8, load_packet(matrices + threadIdx.x * 8));
    sync_warp();
    uint32_t registers[4];
    if (transposed) load_matrix_x4_transposed(registers, tile + threadIdx.x * 8);
    else load_matrix_x4(registers, tile + threadIdx.x * 8);
    for (int i = 0; i < 4; i++) r[threadIdx.x * 4 + i] = registers[i];
}

// d [32, 4] += a [32, 4] · b [32, 2]
template <class D, class Multiply>
DEVICE void multiply(const uint32_t* a, const uint32_t* b, D* d, const Multiply& mma) {
    const int l = (int)threadIdx.x;
    D sums[4];
    uint32_t rows[4];
    for (int i = 0; i < 4; i++) {
        sums[i] = d[l * 4 + i];
        rows[i] = a[l * 4 + i];
    }
    mma(sums, rows, b[l * 2], b[l * 2 + 1]);
    for (int i = 0; i < 4; i++) d[l * 4 + i] = sums[i];
}
KERNEL(instruction_mma_f16, 32, 1, const uint32_t* a, const uint32_t* b, float* d) {
    multiply(a, b, d, [](float (&sums)[4], const uint32_t (&rows)[4], uint32_t b0, uint32_t b1) { mma<f16>(sums, rows, b0, b1); });
}
KERNEL(instruction_mma_bf16, 32, 1, const uint32_t* a, const uint32_t* b, float* d) {
    multiply(a, b, d, [](float (&sums)[4], const uint32_t (&rows)[4], uint32_t b0, uint32_t b1) { mma<bf16>(sums, rows, b0, b1); });
}
KERNEL(instruction_mma_s8, 32, 1, const uint32_t* a, const uint32_t* b, int* d) {
    multiply(a, b, d, [](int (&sums)[4], const uint32_t (&rows)[4], uint32_t b0, uint32_t b1) { mma_s8(sums, rows, b0, b1); });
}

// Each of `count` floats rounded; and as the lower half of a pair, its neighbour i ^ 1 in the upper.
template <class T>
DEVICE void round_all(const float* x, T* y, uint32_t* pairs, int count) {
    for (int i = (int)(blockIdx.x * 256 + threadIdx.x); i < count; i += (int)gridDim.x * 256) {
        y[i] = from_float<T>(x[i]);
        pairs[i] = pack<T>(x[i], x[i ^ 1]);
    }
}
template <class T>
DEVICE void widen_all(const T* x, float* y, int count) {
    for (int i = (int)(blockIdx.x * 256 + threadIdx.x); i < count; i += (int)gridDim.x * 256) y[i] = to_float(x[i]);
}
#define INSTRUCTION_CONVERT(T) \
    KERNEL(instruction_round_##T, 256, 1, const float* x, T* y, uint32_t* pairs, int count) { round_all(x, y, pairs, count); } \
    KERNEL(instruction_widen_##T, 256, 1, const T* x, float* y, int count) { widen_all(x, y, count); }
INSTRUCTION_CONVERT(f16)
INSTRUCTION_CONVERT(bf16)

// y [count · 2] of words of four bytes each.
KERNEL(instruction_widen_s8, 256, 1, const uint32_t* x, uint32_t* y, int count) {
    for (int i = (int)threadIdx.x; i < count; i += 256) widen_s8(x[i], y[2 * i], y[2 * i + 1]);
}

KERNEL(instruction_exp2, 256, 1, const float* x, float* y, int count) {
    for (int i = (int)(blockIdx.x * 256 + threadIdx.x); i < count; i += (int)gridDim.x * 256) y[i] = exp2_approximate(x[i]);
}

// y [7, 64]: what each thread gets from shuffle_xor by 5 (float, int, uint64_t) and from lane (3 · lane + 1) % 32, the ballot of odd lanes in warp 1 and
// none in warp 0, and whether any thread or none said yes.
KERNEL(instruction_collectives, 64, 1, uint64_t* y) {
    const int i = (int)threadIdx.x, lane = lane_index();
    y[i] = float_to_bits(shuffle_xor((float)i, 5));
    y[64 + i] = (uint64_t)shuffle_xor(-i, 5);
    y[128 + i] = shuffle_xor((uint64_t)i << 40 | 7u, 5);
    y[192 + i] = shuffle((uint64_t)i << 40, 3 * lane + 1);
    y[256 + i] = warp_ballot(i >= 32 && lane % 2 == 1);
    y[320 + i] = sync_block_or(i == 63);
    y[384 + i] = sync_block_or(i == 64);
}

// y [19, 16] bytes: copies of 0 to 16 bytes of x, then one that is there and one that is not.
KERNEL(instruction_copy_async, 32, 1, const s8* x, s8* y) {
    SHARED(s8, to, 19 * 16);
    const int i = (int)threadIdx.x;
    if (i < 17) copy_async(to + i * 16, x, i);
    if (i == 17 || i == 18) copy_async_if(to + i * 16, i == 17 ? x : nullptr, i == 17);
    copy_async_commit();
    copy_async_wait<0>();
    sync_block();
    if (i < 19) store_packet(y + i * 16, load_packet(to + i * 16));
}

// counts[0] += 1 of every thread, its values before in `before`; largest[0] = the largest key.
KERNEL(instruction_atomics, 64, 1, uint32_t* counts, uint32_t* before, uint64_t* largest) {
    const int i = (int)(blockIdx.x * 64 + threadIdx.x);
    before[i] = atomic_add(counts, 1u);
    atomic_max(largest, (uint64_t)(i * 37 % 128) << 33 | (uint64_t)i);
}
