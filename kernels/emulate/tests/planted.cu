// Kernels with one bug each, and what finds it.
#include "test.h"

namespace {

bool any_nan(Device<float>& values) {
    for (size_t i = 0; i < values.count; i++) {
        if (values[i] != values[i]) return true;
    }
    return false;
}

// A block's sum whose partial sums are read without a barrier.
template <bool Barrier>
DEVICE void sum(const float* x, float* y) {
    SHARED(float, partial, 4);
    const float value = warp_sum(x[threadIdx.x]);
    if (lane_index() == 0) partial[warp_index()] = value;
    if (Barrier) sync_block();
    if (threadIdx.x == 0) *y = partial[0] + partial[1] + partial[2] + partial[3];
}
KERNEL(sum_good, 128, 1, const float* x, float* y) { sum<true>(x, y); }
KERNEL(sum_without_barrier, 128, 1, const float* x, float* y) { sum<false>(x, y); }

TEST(sum_is_right) {
    Device<float> x(std::vector<float>(128, 1.0f)), y(1);
    for (uint64_t seed = 0; seed < 4; seed++) {
        const Outcome outcome = launch("sum_good", {1, 128, 0, seed}, x.data, y.data);
        EXPECT(outcome.message == "" && y[0] == 128);
        y[0] = 0;
    }
}
TEST(missing_barrier_is_a_race) {
    Device<float> x(std::vector<float>(128, 1.0f)), y(1);
    for (uint64_t seed = 0; seed < 4; seed++) {
        const Outcome outcome = launch("sum_without_barrier", {1, 128, 0, seed}, x.data, y.data);
        EXPECT(outcome.fault == emulate::Fault::LaunchFailed);
        EXPECT_HAS(outcome.message, "kernel sum_without_barrier, block (0,0,0), thread (");
        EXPECT_HAS(outcome.message, "race in shared memory (partial + ");
        EXPECT_HAS(outcome.message, "no barrier lies between");
        EXPECT_HAS(outcome.message, "emulate/tests/planted.cu:");
    }
}
TEST(missing_barrier_reads_poison) {
    Unchecked unchecked;
    Device<float> x(std::vector<float>(128, 1.0f)), y(1);
    launch("sum_without_barrier", {1, 128}, x.data, y.data);
    EXPECT(any_nan(y));
}

// Each warp copies tiles by cp.async and adds what the next warp copied.
template <int Pending, bool Barrier>
DEVICE void stream(const float* x, float* y, int tiles) {
    SHARED(float, ring, 2 * 512);
    auto copy = [&](int tile) {
        if (tile < tiles) copy_async(ring + tile % 2 * 512 + threadIdx.x * 4, x + tile * 512 + threadIdx.x * 4);
        copy_async_commit();
    };
    copy(0);
    float s = 0;
    for (int tile = 0; tile < tiles; tile++) {
        copy(tile + 1);
        copy_async_wait<Pending>();
        if (Barrier) sync_block();
        for (int i = 0; i < 4; i++) s += ring[tile % 2 * 512 + (threadIdx.x + 32) % 128 * 4 + i];
        sync_block();
    }
    copy_async_wait<0>();
    y[threadIdx.x] = s;
}
KERNEL(stream_good, 128, 1, const float* x, float* y, int tiles) { stream<1, true>(x, y, tiles); }
KERNEL(stream_waits_late, 128, 1, const float* x, float* y, int tiles) { stream<2, true>(x, y, tiles); }
KERNEL(stream_without_barrier, 128, 1, const float* x, float* y, int tiles) { stream<1, false>(x, y, tiles); }

TEST(copies_land_when_awaited) {
    Device<float> x(std::vector<float>(5 * 512, 2.0f)), y(128);
    for (uint64_t seed = 0; seed < 4; seed++) {
        const Outcome outcome = launch("stream_good", {1, 128, 0, seed}, x.data, y.data, 5);
        EXPECT(outcome.message == "");
        for (int i = 0; i < 128; i++) EXPECT(y[i] == 40);
        EXPECT(outcome.counters.async_copies == 5 * 128);
    }
}
TEST(copy_awaited_one_group_too_late_is_nan) {
    Device<float> x(std::vector<float>(5 * 512, 2.0f)), y(128);
    EXPECT(launch("stream_waits_late", {1, 128}, x.data, y.data, 5).message == "");
    for (int i = 0; i < 128; i++) EXPECT(y[i] != y[i]);
}
TEST(copy_of_another_warp_without_barrier) {
    Device<float> x(std::vector<float>(5 * 512, 2.0f)), y(128);
    EXPECT_HAS(launch("stream_without_barrier", {1, 128}, x.data, y.data, 5).message, "race in shared memory (ring + ");
    Unchecked unchecked;
    launch("stream_without_barrier", {1, 128}, x.data, y.data, 5);
    EXPECT(any_nan(y));
}

KERNEL(copy_never_awaited, 32, 1, const float* x) {
    SHARED(float, to, 128);
    copy_async(to + threadIdx.x * 4, x + threadIdx.x * 4);
    copy_async_commit();
}
TEST(copy_never_awaited_is_an_error) {
    Device<float> x(128);
    EXPECT_HAS(launch("copy_never_awaited", {1, 32}, x.data).message,
               "thread (0,0,0): ended without waiting for 1 of its copies (kernels/emulate/tests/planted.cu:");
}

KERNEL(copy_misaligned, 32, 1, const float* x) {
    SHARED(float, to, 256);
    copy_async(to + threadIdx.x * 4 + 1, x + threadIdx.x * 4);
}
KERNEL(copy_past_the_end, 32, 1, const float* x) {
    SHARED(float, to, 128);
    copy_async(to + threadIdx.x * 4, x + threadIdx.x * 4 + 4);
    copy_async_commit();
    copy_async_wait<0>();
}
TEST(copies_are_checked) {
    Device<float> x(128);
    Outcome outcome = launch("copy_misaligned", {1, 32}, x.data);
    EXPECT(outcome.fault == emulate::Fault::MisalignedAddress);
    EXPECT_HAS(outcome.message, "shared address 132 is not a multiple of 16");
    Unchecked unchecked;
    outcome = launch("copy_past_the_end", {1, 32}, x.data);
    EXPECT(outcome.fault == emulate::Fault::IllegalAddress);
    EXPECT_HAS(outcome.message, "thread (31,0,0): copy_async of 16 bytes at ");
    EXPECT_HAS(outcome.message, "the one before it has 512 bytes and begins 512 bytes before");
}

// y[row] = x[row] for one row too many.
KERNEL(one_row_too_many, 32, 1, const float* x, float* y, int rows, int width) {
    for (int row = blockIdx.x; row <= rows; row += gridDim.x) {
        for (int i = threadIdx.x; i < width; i += 32) y[row * width + i] = x[row * width + i];
    }
}
TEST(row_past_the_end) {
    Device<float> x(3 * 40), y(3 * 40);
    const Outcome outcome = launch("one_row_too_many", {2, 32}, x.data, y.data, 3, 40);
    EXPECT(outcome.fault == emulate::Fault::IllegalAddress);
    EXPECT_HAS(outcome.message, "block (1,0,0), thread (0,0,0): read of 4 bytes at ");
    EXPECT_HAS(outcome.message, "which lie in no allocation (the one before it has 480 bytes and begins 480 bytes before) (kernels/emulate/tests/planted.cu:");
}
TEST(row_past_the_end_damages_the_guard) {
    Unchecked unchecked;
    Device<float> x(4 * 40);
    float* const y = reinterpret_cast<float*>(emulate::allocate(3 * 40 * 4));
    EXPECT(launch("one_row_too_many", {2, 32}, x.data, y, 3, 40).message == "");
    std::string damage;
    EXPECT(emulate::release(y, damage));
    EXPECT(damage == "a kernel or copy wrote 0 bytes past the end of an allocation of 480 bytes");
}

KERNEL(shared_past_the_end, 64, 1, float* y) {
    SHARED(float, first, 60);
    SHARED(float, second, 64);
    first[threadIdx.x] = 1;
    second[threadIdx.x] = 2;
    sync_block();
    y[threadIdx.x] = first[threadIdx.x] + second[threadIdx.x];
}
TEST(shared_index_past_the_array) {
    Device<float> y(64);
    const Outcome outcome = launch("shared_past_the_end", {1, 64}, y.data);
    EXPECT(outcome.fault == emulate::Fault::IllegalAddress);
    EXPECT_HAS(outcome.message, "thread (60,0,0): write of 4 bytes of shared memory outside of its arrays, behind first");
}

// 64 × 64 16-bit elements, rows of 128 bytes, read by ldmatrix; with the swizzle or without.
template <bool Swizzle>
DEVICE void read_tile(const uint16_t* x, uint32_t* y) {
    SHARED(uint16_t, tile, 64 * 64);
    for (int i = threadIdx.x; i < 512; i += 32) {
        const int row = i / 8, chunk = i % 8;
        store_packet(tile + row * 64 + (Swizzle ? chunk ^ row % 8 : chunk) * 8, load_packet(x + i * 8));
    }
    sync_block();
    uint32_t all = 0;
    for (int step = 0; step < 4; step++) {
        uint32_t r[4];
        const int row = lane_index() % 16, chunk = step * 2 + lane_index() / 16;
        load_matrix_x4(r, tile + row * 64 + (Swizzle ? chunk ^ row % 8 : chunk) * 8);
        all += r[0] + r[1] + r[2] + r[3];
    }
    y[threadIdx.x] = all;
}
KERNEL(tile_swizzled, 32, 1, const uint16_t* x, uint32_t* y) { read_tile<true>(x, y); }
KERNEL(tile_not_swizzled, 32, 1, const uint16_t* x, uint32_t* y) { read_tile<false>(x, y); }
TEST(lost_swizzle_is_counted) {
    Device<uint16_t> x(std::vector<uint16_t>(64 * 64, 3));
    Device<uint32_t> y(32);
    Outcome outcome = launch("tile_swizzled", {1, 32}, x.data, y.data);
    EXPECT(outcome.message == "" && outcome.counters.matrix_phases == 16 && outcome.counters.matrix_conflicts == 0);
    outcome = launch("tile_not_swizzled", {1, 32}, x.data, y.data);
    EXPECT(outcome.message == "" && outcome.counters.matrix_phases == 16 && outcome.counters.matrix_conflicts == 16 * 7);
}

KERNEL(sync_under_if, 64, 1, float* y) {
    if (threadIdx.x < 40) sync_block();
    y[threadIdx.x] = 1;
}
KERNEL(sync_warp_under_if, 32, 1, float* y) {
    if (lane_index() < 16) sync_warp();
    y[threadIdx.x] = 1;
}
KERNEL(different_collectives, 32, 1, float* y) {
    y[threadIdx.x] = lane_index() < 16 ? warp_sum(1.0f) : (float)warp_ballot(true);
}
KERNEL(same_collective_elsewhere, 32, 1, float* y) {
    if (lane_index() < 16) y[threadIdx.x] = shuffle(1.0f, 3);
    else y[threadIdx.x] = shuffle(2.0f, 3);
}
KERNEL(barrier_in_two_branches, 64, 1, float* y) {
    if (lane_index() < 16) sync_block();
    else sync_block();
    y[threadIdx.x] = 1;
}
KERNEL(ends_while_others_wait, 64, 1, float* y) {
    if (threadIdx.x >= 32) return;
    sync_block();
    y[threadIdx.x] = 1;
}
KERNEL(half_a_warp, 48, 1, float* y) { y[threadIdx.x] = warp_sum(1.0f); }
TEST(divergent_collectives) {
    Device<float> y(64);
    EXPECT_HAS(launch("sync_under_if", {1, 64}, y.data).message, "deadlock: threads 0-39 wait at sync_block (kernels/emulate/tests/planted.cu:");
    EXPECT_HAS(launch("sync_under_if", {1, 64}, y.data).message, "; threads 40-63 have ended");
    EXPECT_HAS(launch("sync_warp_under_if", {1, 32}, y.data).message, "deadlock: threads 0-15 wait at sync_warp (");
    EXPECT_HAS(launch("different_collectives", {1, 32}, y.data).message,
               "divergent warp: lane 16 is at warp_ballot, others wait at shuffle_xor (kernels/core/warp.cuh:");
    EXPECT_HAS(launch("same_collective_elsewhere", {1, 32}, y.data).message, "divergent warp: lane 16 is at another shuffle than others (");
    EXPECT_HAS(launch("barrier_in_two_branches", {1, 64}, y.data).message, "divergent barrier: lanes of warp 0 arrived at sync_block from different places");
    EXPECT_HAS(launch("ends_while_others_wait", {1, 64}, y.data).message, "threads 32-63 have ended");
    EXPECT_HAS(launch("half_a_warp", {1, 48}, y.data).message, "shuffle_xor in a warp of 16 threads");
}

// Lanes exchange through shared memory.
template <bool Sync>
DEVICE void exchange(float* y) {
    SHARED(float, values, 32);
    values[threadIdx.x] = (float)threadIdx.x;
    if (Sync) sync_warp();
    else shuffle(0, 0);  // no memory barrier
    y[threadIdx.x] = values[31 - threadIdx.x];
}
KERNEL(exchange_good, 32, 1, float* y) { exchange<true>(y); }
KERNEL(exchange_without_sync_warp, 32, 1, float* y) { exchange<false>(y); }
TEST(lanes_need_sync_warp) {
    Device<float> y(32);
    EXPECT(launch("exchange_good", {1, 32}, y.data).message == "" && y[0] == 31);
    EXPECT_HAS(launch("exchange_without_sync_warp", {1, 32}, y.data).message, "race in shared memory (values + ");
}

KERNEL(blocks_share_a_word, 32, 1, float* y) { if (threadIdx.x == 0) y[blockIdx.x / 2] = 1; }
KERNEL(blocks_read_what_one_writes, 32, 1, float* y) {
    const float value = y[0];
    if (blockIdx.x == 2 && value == 5 && threadIdx.x == 0) y[0] = 1;
}
KERNEL(blocks_count, 32, 1, uint32_t* y) { atomic_add(y, 1u); }
KERNEL(blocks_write_halves, 32, 1, uint16_t* y) { if (threadIdx.x == 0) y[blockIdx.x] = 1; }
TEST(races_between_blocks) {
    Device<float> y(std::vector<float>(4, 5.0f));
    EXPECT_HAS(launch("blocks_share_a_word", {4, 32}, y.data).message,
               "block (1,0,0), thread (0,0,0): race in global memory: this thread writes what another block");
    y[0] = 5;
    EXPECT_HAS(launch("blocks_read_what_one_writes", {4, 32}, y.data).message,
               "race in global memory: this thread writes what another block of the launch read");
    Device<uint32_t> count(std::vector<uint32_t>(1, 0));
    EXPECT(launch("blocks_count", {4, 32}, count.data).message == "" && count[0] == 128);
    Device<uint16_t> halves(4);
    EXPECT(launch("blocks_write_halves", {4, 32}, halves.data).message == "");
    // One launch after the other is in order.
    EXPECT(launch("blocks_share_a_word", {1, 32}, y.data).message == "" && launch("blocks_share_a_word", {1, 32}, y.data).message == "");
}

KERNEL(mirror_in_global_memory, 64, 1, float* y, float* z, int barrier) {
    y[threadIdx.x] = (float)threadIdx.x;
    if (barrier) sync_block();
    z[threadIdx.x] = y[63 - threadIdx.x];
}
TEST(races_in_global_memory) {
    Device<float> y(64), z(64);
    EXPECT(launch("mirror_in_global_memory", {1, 64}, y.data, z.data, 1).message == "" && z[0] == 63);
    EXPECT_HAS(launch("mirror_in_global_memory", {1, 64}, y.data, z.data, 0).message, "race in global memory: this thread ");
}

KERNEL(misaligned_packet, 32, 1, const float* x, float* y) { store_packet(y + threadIdx.x * 4, load_packet(x + threadIdx.x * 4 + 1)); }
KERNEL(null_pointer, 32, 1, const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }
KERNEL(division_by_zero, 32, 1, int* y, int divisor) { y[threadIdx.x] = 7 / divisor; }
__attribute__((noinline)) int recurse(int* y, int n) {
    volatile int large[1000];
    large[n % 1000] = n;
    return n == 0 ? large[0] : recurse(y, n - 1) + large[n % 1000];
}
KERNEL(stack_overflow, 32, 1, int* y) { y[threadIdx.x] = recurse(y, 100000 + y[0]); }
TEST(processor_faults_are_reported) {
    Device<float> x(132), y(128);
    Device<int> z(std::vector<int>(32, 0));
    float* const null = nullptr;
    EXPECT(launch("misaligned_packet", {1, 32}, x.data, y.data).fault == emulate::Fault::MisalignedAddress);
    EXPECT_HAS(launch("misaligned_packet", {1, 32}, x.data, y.data).message, "is not a multiple of 16 (kernels/core/warp.cuh:");
    {
        Unchecked unchecked;
        EXPECT_HAS(launch("null_pointer", {1, 32}, null, y.data).message, "null pointer");
        Outcome outcome = launch("division_by_zero", {1, 32}, z.data, 0);
        EXPECT_HAS(outcome.message, "thread (0,0,0): integer division by zero (kernels/emulate/tests/planted.cu:");
        EXPECT_HAS(launch("stack_overflow", {1, 32}, z.data).message, "the thread's stack is full");
    }
    EXPECT(launch("division_by_zero", {1, 32}, z.data, 7).message == "" && z[31] == 1);
    const std::vector<float> host(32, 1.0f);
    EXPECT_HAS(launch("null_pointer", {1, 32}, host.data(), y.data).message, "which is the host's memory");
}
KERNEL(never_ends, 32, 1, volatile int* y) { while (y[0] == 0) {} }
TEST(endless_loop_is_ended) {
    setenv("EMULATE_BLOCK_SECONDS", "1", 1);
    Unchecked unchecked;
    Device<int> y(std::vector<int>(1, 0));
    const Outcome outcome = launch("never_ends", {1, 32}, (volatile int*)y.data);
    EXPECT(outcome.fault == emulate::Fault::Timeout);
    EXPECT_HAS(outcome.message, "the block has not ended after 1 s (kernels/emulate/");
}

KERNEL(reads_what_the_block_before_left, 32, 1, float* y) {
    SHARED(float, values, 32);
    y[blockIdx.x * 32 + threadIdx.x] = values[threadIdx.x];
    values[threadIdx.x] = 1;
}
TEST(shared_memory_starts_as_nan) {
    Device<float> y(3 * 32);
    EXPECT(launch("reads_what_the_block_before_left", {3, 32}, y.data).message == "");
    for (int i = 0; i < 3 * 32; i++) EXPECT(y[i] != y[i]);
}

KERNEL(too_much_shared, 32, 1, float* y) {
    SHARED(float, large, 30000);
    SHARED(float, more, 20000);
    large[threadIdx.x] = more[threadIdx.x] = 1;
    y[threadIdx.x] = large[threadIdx.x];
}
TEST(shared_memory_has_an_end) {
    Device<float> y(32);
    const Outcome outcome = launch("too_much_shared", {1, 32}, y.data);
    EXPECT(outcome.fault == emulate::Fault::OutOfResources);
    EXPECT_HAS(outcome.message, "shared array more of 80000 bytes does not fit into the 166912 of a block");
}

}  // namespace
