// Hopper's asynchronous instructions: what they compute, and what finds their misuse.
#include "test.h"
#include "hopper/ptx.cuh"

extern "C" int cuTensorMapEncodeTiled(void*, int, uint32_t, void*, const uint64_t*, const uint64_t*, const uint32_t*, const uint32_t*, int, int, int, int);

namespace {

constexpr int kBf16 = 9, kF16 = 6, kSwizzle128 = 3, kStage = (64 + 256) * 128;

int encode(TensorMap& map, const void* base, uint64_t columns, uint64_t rows, uint64_t stride, uint32_t box_columns, uint32_t box_rows, int type = kBf16) {
    const uint64_t sizes[] = {columns, rows};
    const uint32_t box[] = {box_columns, box_rows}, ones[] = {1, 1};
    return cuTensorMapEncodeTiled(&map, type, 2, const_cast<void*>(base), sizes, &stride, box, ones, 0, kSwizzle128, 2, 0);
}

enum Bug { kNone, kNoWaitForCopies, kWrongBytes, kNoWaitForProducts, kOverwritten, kNoFence, kLeftBehind, kThreeWarps };

// d [64, 256] = a · b over `steps` tiles of 64 k. a is [64, k], or [k, 64] where it is Across; b is [256, k], or [k, 256].
template <class T, bool AcrossA, bool AcrossB, int Bug>
DEVICE void product(const TensorMap& map_a, const TensorMap& map_b, float* out, int steps) {
    SHARED_DYNAMIC(shared);
    SHARED(uint64_t, full, 1);
    if (threadIdx.x == 0) {
        barrier_init(full, 1);
        barrier_init_fence();
    }
    sync_block();
    unsigned char* const shared_b = shared + 64 * 128;
    auto fill = [&](int t) {
        barrier_arrive_expect(full, Bug == kWrongBytes ? kStage + 16 : kStage);
        copy_box(shared, &map_a, AcrossA ? 0 : t * 64, AcrossA ? t * 64 : 0, full);
        for (int i = 0; i < (AcrossB ? 4 : 1); i++) copy_box(shared_b + i * 64 * 128, &map_b, AcrossB ? i * 64 : t * 64, AcrossB ? t * 64 : 0, full);
    };
    float d[8][4][4] = {};
    for (int t = 0; t < steps; t++) {
        if (threadIdx.x == 0) fill(t);
        if (Bug == kLeftBehind) return;
        if (Bug != kNoWaitForCopies) barrier_wait(full, t & 1);
        if (Bug == kThreeWarps && warp_index() == 3) return;
        if (Bug != kNoFence) warpgroup_fence();
        for (int s = 0; s < 4; s++) {
            warpgroup_mma<T, AcrossA, AcrossB>(d, operand_at(operand_layout<AcrossA>(64 * 128), shared_address(shared) + s * (AcrossA ? 2048 : 32)),
                operand_at(operand_layout<AcrossB>(64 * 128), shared_address(shared_b) + s * (AcrossB ? 2048 : 32)));
        }
        warpgroup_commit();
        if (Bug == kOverwritten && threadIdx.x == 0 && t + 1 < steps) copy_box(shared, &map_a, 0, 0, full);
        if (Bug != kNoWaitForProducts) warpgroup_wait<0>();
        sync_block();
    }
    const int row = (int)threadIdx.x / 32 * 16 + lane_index() / 4, column = lane_index() % 4 * 2;
    for (int j = 0; j < 32; j++) {
        for (int e = 0; e < 4; e++) out[(row + e / 2 * 8) * 256 + j * 8 + column + e % 2] = d[j / 4][j % 4][e];
    }
    if (Bug == kNoWaitForProducts) warpgroup_wait<0>();
}
#define PRODUCT(name, T, across_a, across_b, bug) \
    KERNEL(name, 128, 1, const GRID_CONSTANT TensorMap a, const GRID_CONSTANT TensorMap b, float* out, int steps) { \
        product<T, across_a, across_b, bug>(a, b, out, steps); \
    }
PRODUCT(hopper_rows_rows_bf16, bf16, false, false, kNone)
PRODUCT(hopper_rows_across_bf16, bf16, false, true, kNone)
PRODUCT(hopper_across_rows_bf16, bf16, true, false, kNone)
PRODUCT(hopper_across_across_bf16, bf16, true, true, kNone)
PRODUCT(hopper_rows_rows_f16, f16, false, false, kNone)
PRODUCT(hopper_copies_not_awaited, bf16, false, false, kNoWaitForCopies)
PRODUCT(hopper_wrong_bytes, bf16, false, false, kWrongBytes)
PRODUCT(hopper_products_not_awaited, bf16, false, false, kNoWaitForProducts)
PRODUCT(hopper_operand_overwritten, bf16, false, false, kOverwritten)
PRODUCT(hopper_without_fence, bf16, false, false, kNoFence)
PRODUCT(hopper_left_behind, bf16, false, false, kLeftBehind)
PRODUCT(hopper_three_warps, bf16, false, false, kThreeWarps)

// Small integers, exact in every type and every order of sums; the last tile of 64 k is half empty.
struct Operands {
    static constexpr int k = 160, steps = 3;
    Operands(bool across_a, bool across_b, bool is_f16) : a(64 * k), b(256 * k), out(64 * 256) {
        auto bits = [&](int value) { return is_f16 ? from_float<f16>((float)value).bits : from_float<bf16>((float)value).bits; };
        for (int i = 0; i < k; i++) {
            for (int m = 0; m < 64; m++) a[across_a ? i * 64 + m : m * k + i] = bits(value_a(m, i));
            for (int n = 0; n < 256; n++) b[across_b ? i * 256 + n : n * k + i] = bits(value_b(n, i));
        }
        const int type = is_f16 ? kF16 : kBf16;
        EXPECT(0 == (across_a ? encode(map_a, a.data, 64, k, 128, 64, 64, type) : encode(map_a, a.data, k, 64, k * 2, 64, 64, type)));
        EXPECT(0 == (across_b ? encode(map_b, b.data, 256, k, 512, 64, 64, type) : encode(map_b, b.data, k, 256, k * 2, 64, 256, type)));
    }
    static int value_a(int m, int i) { return (m * 7 + i * 3) % 11 - 5; }
    static int value_b(int n, int i) { return (n * 5 + i * 13) % 9 - 4; }
    Outcome run(const char* kernel, uint64_t seed = 0, int steps = Operands::steps) {
        return launch(kernel, {1, 128, kStage, seed}, map_a, map_b, out.data, steps);
    }
    void check() {
        for (int m = 0; m < 64; m++) {
            for (int n = 0; n < 256; n++) {
                int sum = 0;
                for (int i = 0; i < k; i++) sum += value_a(m, i) * value_b(n, i);
                EXPECT(out[m * 256 + n] == (float)sum);
            }
        }
    }
    TensorMap map_a, map_b;
    Device<uint16_t> a, b;
    Device<float> out;
};

TEST(hopper_products) {
    struct { const char* kernel; bool across_a, across_b, is_f16; } const cases[] = {
        {"hopper_rows_rows_bf16", false, false, false}, {"hopper_rows_across_bf16", false, true, false}, {"hopper_across_rows_bf16", true, false, false},
        {"hopper_across_across_bf16", true, true, false}, {"hopper_rows_rows_f16", false, false, true}};
    for (const auto& c : cases) {
        Operands operands(c.across_a, c.across_b, c.is_f16);
        for (uint64_t seed = 0; seed < 3; seed++) {
            EXPECT(operands.run(c.kernel, seed).message == "");
            operands.check();
        }
    }
}

TEST(hopper_copies_land_at_the_end_of_the_phase) {
    Unchecked unchecked;
    Operands operands(false, false, false);
    EXPECT_HAS(operands.run("hopper_copies_not_awaited", 0, 1).message, "ended before a copy had come (kernels/emulate/tests/hopper.cu:");
    EXPECT(operands.out[0] != operands.out[0] && operands.out[64 * 256 - 1] != operands.out[64 * 256 - 1]);
    EXPECT_HAS(operands.run("hopper_copies_not_awaited").message, "barrier_arrive_expect: all 1 arrivals of the phase have come");
    EXPECT_HAS(operands.run("hopper_wrong_bytes").message, "wait at barrier_wait (kernels/emulate/tests/hopper.cu:");
    EXPECT_HAS(operands.run("hopper_wrong_bytes").message, "phase 0, lacks 0 of 1 arrivals and 16 bytes");
    EXPECT_HAS(operands.run("hopper_left_behind").message, "ended before a copy had come (kernels/emulate/tests/hopper.cu:");
}

TEST(hopper_sums_are_nan_until_awaited) {
    Operands operands(false, false, false);
    EXPECT(operands.run("hopper_products_not_awaited", 0, 1).message == "" && operands.out[0] != operands.out[0] && operands.out[99] != operands.out[99]);
    EXPECT_HAS(operands.run("hopper_operand_overwritten").message, "race in shared memory (dynamic + 0 bytes)");
    EXPECT_HAS(operands.run("hopper_without_fence").message, "warpgroup_mma without a warpgroup_fence");
    EXPECT_HAS(operands.run("hopper_three_warps").message, "deadlock: threads 0-95 wait at warpgroup_fence (");
    Unchecked unchecked;
    EXPECT_HAS(operands.run("hopper_operand_overwritten").message, "was overwritten before the wait for it");
}

TEST(hopper_maps_are_checked) {
    Device<uint16_t> x(64 * 64);
    TensorMap map;
    EXPECT(encode(map, x.data, 64, 64, 128, 64, 64) == 0);
    EXPECT(encode(map, x.data + 1, 64, 64, 128, 64, 64) == 1 && encode(map, x.data, 64, 64, 120, 60, 64) == 1);
    EXPECT(encode(map, x.data, 64, 64, 128, 64, 257) == 1);
    EXPECT(encode(map, x.data, 64, 64, 128, 128, 64) == 1);
    // A map that says more rows than the allocation has.
    Operands operands(false, false, false);
    EXPECT(encode(operands.map_a, operands.a.data, Operands::k, 65, Operands::k * 2, 64, 64) == 0 && operands.run("hopper_rows_rows_bf16").message == "");
    EXPECT(encode(operands.map_a, operands.a.data + 64 * 64, Operands::k, 64, Operands::k * 2, 64, 64) == 0);
    EXPECT(operands.run("hopper_rows_rows_bf16").fault == emulate::Fault::IllegalAddress);
}

}  // namespace
