// What products on Hopper share: a ring of four stages of 64 k in shared memory, which one thread keeps full by the copy engine (TMA) and two warpgroups
// multiply out of (wgmma), 64 rows of the block's 128 × 256 each. `full` barriers count a stage's 48 KB, `empty` ones the warps that have read it.
#pragma once
#include "../core/warp.cuh"
#include "ptx.cuh"

constexpr int kM = 128, kN = 256, kK = 64, kStages = 4, kThreads = 384, kGroup = 128, kConsumerWarps = 8;
constexpr int kBytesA = kM * kK * 2, kBytesB = kN * kK * 2, kStageBytes = kBytesA + kBytesB;
// Of a box of 64 columns where k runs down the rows: the next 64 of the other dimension are that much further.
constexpr int kBoxBytes = kK * 64 * 2;
// 40 + 2 · 232 registers are what three groups of 168 have.
constexpr int kProducerRegisters = 40, kConsumerRegisters = 232;

struct Ring {
    unsigned char* stages;
    uint64_t *full, *empty;

    // One thread: `readers` warps read each stage.
    DEVICE void init(int readers) const {
        for (int i = 0; i < kStages; i++) {
            barrier_init(full + i, 1);
            barrier_init(empty + i, readers);
        }
    }
};

// Where a role stands in the ring: stages are filled and emptied in turn, and each time round the parity of their barriers' phases changes.
struct RingPosition {
    int stage = 0, parity = 0;

    DEVICE void advance() {
        stage = stage + 1 == kStages ? 0 : stage + 1;
        parity ^= stage == 0;
    }
};

// The side of the copies: waits until the next stage is empty and starts the boxes of both operands' tiles at k.
template <bool TransA, bool TransB>
DEVICE void fill_stage(const Ring& ring, RingPosition& position, const TensorMap* a, const TensorMap* b, int row, int column, int k) {
    unsigned char *to_a = ring.stages + position.stage * kStageBytes, *to_b = to_a + kBytesA;
    uint64_t* arrived = ring.full + position.stage;
    barrier_wait(ring.empty + position.stage, position.parity ^ 1);
    barrier_arrive_expect(arrived, kStageBytes);
    if (!TransA) copy_box(to_a, a, k, row, arrived);
    else for (int j = 0; j < kM / 64; j++) copy_box(to_a + j * kBoxBytes, a, row + j * 64, k, arrived);
    if (TransB) copy_box(to_b, b, k, column, arrived);
    else for (int j = 0; j < kN / 64; j++) copy_box(to_b + j * kBoxBytes, b, column + j * 64, k, arrived);
    position.advance();
}

// The side of the products, of one of the two warpgroups 1 and 2.
template <class T, bool TransA, bool TransB>
struct Multiplier {
    static_assert(64 * kK * 2 == kBoxBytes, "64 rows of 64 k, or 64 k of 64 rows");
    static constexpr int kStepA = TransA ? 2048 : 32, kStepB = TransB ? 32 : 2048;
    // Of the two groups the second has the lower 64 rows of A's tile, which are the same distance away in both layouts.
    const Ring& ring;
    const int half = warp_index() / 4 - 1;
    const uint64_t layout_a = operand_layout<TransA>(kBoxBytes), layout_b = operand_layout<!TransB>(kBoxBytes);
    const uint32_t at_a = shared_address(ring.stages) + half * kBoxBytes, at_b = shared_address(ring.stages) + kBytesA;
    RingPosition position;

    explicit DEVICE Multiplier(const Ring& r) : ring(r) {}
    // Of the warp's 16 rows.
    DEVICE int warp_row() const { return half * 64 + warp_index() % 4 * 16; }

    static DEVICE void clear(float (&sums)[8][4][4]) {
#pragma unroll
        for (int p = 0; p < 8; p++)
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) sums[p][j][e] = 0.0f;
    }

    // Adds `count` stages; while the products of one are computed, those of the one before are waited for and its stage is given back.
    DEVICE void add(float (&sums)[8][4][4], int count) {
        int read = -1;
        for (int t = 0; t < count; t++) {
            barrier_wait(ring.full + position.stage, position.parity);
            const uint32_t stage = position.stage * kStageBytes;
            warpgroup_fence();
#pragma unroll
            for (int step = 0; step < kK / 16; step++) {
                const uint64_t a = operand_at(layout_a, at_a + stage + step * kStepA), b = operand_at(layout_b, at_b + stage + step * kStepB);
                warpgroup_mma<T, TransA, !TransB>(sums, a, b);
            }
            warpgroup_commit();
            warpgroup_wait<1>();
            if (read >= 0 && lane_index() == 0) barrier_arrive(ring.empty + read);
            read = position.stage;
            position.advance();
        }
        warpgroup_wait<0>();
        if (read >= 0 && lane_index() == 0) barrier_arrive(ring.empty + read);
    }
};
