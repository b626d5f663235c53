#include "async.h"
#include <immintrin.h>
#include <string.h>
#include <algorithm>
#include <deque>
#include <memory>
#include "tensormap.h"

namespace emulate {

struct BoxCopy {
    unsigned char* shared;
    Map map;
    int64_t column, row;
    Thread* thread;
    Site site;
};

struct TransactionBarrier {
    uint32_t offset;
    int arrivals, missing;  // of every phase; of this one
    int64_t bytes;          // expected and not come
    uint32_t phase;
    std::vector<BoxCopy> copies;  // under way; they arrive when somebody waits, the latest that a GPU allows
    std::vector<Thread*> waiting;
};

struct GroupProduct {
    GroupMma mma;
    uint32_t batch;
    std::vector<uint16_t> operands;  // a [64, 16], then b [16, n], as they were at the start
};
// Sums that products are adding to: the real ones of [64, n], while the threads' registers are NaN.
struct GroupSums {
    std::vector<float*> registers;
    std::vector<float> values;
    int products;
};
struct Group {
    int arrived = 0;
    const char* operation;
    Site site;
    void* arguments[kGroupSize];
    bool fenced = false;
    uint32_t batch = 0;
    std::deque<GroupProduct> products;
    std::vector<GroupSums> sums;
};

// What a block has of all this.
struct Async {
    std::deque<TransactionBarrier> barriers;
    Group groups[kMaxThreads / kGroupSize];
};
static Async& async_of(Block& block) {
    if (!block.async) block.async = std::make_shared<Async>();
    return *block.async;
}

static uint32_t shared_offset(const void* address) { return (uint32_t)(static_cast<const unsigned char*>(address) - current->block->shared); }

// Transaction barriers

void barrier_init(uint64_t* barrier, int arrivals, Site site) {
    Block& block = *current->block;
    const uint32_t offset = shared_offset(barrier);
    if (offset % 8 || offset + 8 > block.shared_end) fail(Fault::IllegalAddress, site, "barrier_init: not 8 aligned bytes of shared memory");
    if (arrivals < 1) fail(Fault::LaunchFailed, site, "barrier_init for %d arrivals", arrivals);
    for (const TransactionBarrier& other : async_of(block).barriers) {
        if (other.offset == offset) fail(Fault::LaunchFailed, site, "barrier_init of a barrier that is in use");
    }
    async_of(block).barriers.push_back({offset, arrivals, arrivals, 0, 0, {}, {}});
}

static TransactionBarrier& find(const uint64_t* barrier, const char* operation, Site site) {
    for (TransactionBarrier& known : async_of(*current->block).barriers) {
        if (known.offset == shared_offset(barrier)) return known;
    }
    fail(Fault::LaunchFailed, site, "%s: there is no barrier; barrier_init comes first", operation);
}

static void land(const BoxCopy& copy) {
    if (checker) checker->access(*copy.thread, copy.shared, copy.map.box_bytes(), Access::Write, copy.site);
    copy.map.copy_box(copy.shared, (uint32_t)(copy.shared - copy.thread->block->shared), copy.column, copy.row);
}

static int64_t bytes_under_way(const TransactionBarrier& barrier) {
    int64_t bytes = 0;
    for (const BoxCopy& copy : barrier.copies) bytes += copy.map.box_bytes();
    return bytes;
}

static void end_phase_if_complete(TransactionBarrier& barrier) {
    if (barrier.missing || barrier.bytes != bytes_under_way(barrier)) return;
    for (const BoxCopy& copy : barrier.copies) land(copy);
    barrier.copies.clear();
    barrier.bytes = 0;
    barrier.missing = barrier.arrivals;
    barrier.phase++;
    for (Thread* thread : barrier.waiting) thread->warp->ready |= 1u << thread->lane;
    barrier.waiting.clear();
    current->block->epoch++;  // what was done before is ordered before what is done from now on
}

void barrier_arrive(uint64_t* pointer, int bytes, const char* operation, Site site) {
    TransactionBarrier& barrier = find(pointer, operation, site);
    barrier.bytes += bytes;
    if (barrier.missing == 0) {
        fail(Fault::LaunchFailed, site, "%s: all %d arrivals of the phase have come, and its copies may be under way", operation, barrier.arrivals);
    }
    barrier.missing--;
    if (barrier.copies.empty() || !barrier.waiting.empty()) end_phase_if_complete(barrier);
}

void barrier_wait(uint64_t* pointer, int parity, Site site) {
    TransactionBarrier& barrier = find(pointer, "barrier_wait", site);
    end_phase_if_complete(barrier);
    while ((barrier.phase & 1) == (uint32_t)(parity & 1)) {
        Thread& self = *current;
        self.operation = "barrier_wait";
        self.site = site;
        barrier.waiting.push_back(&self);
        self.warp->ready &= ~(1u << self.lane);
        park();
    }
}

std::string describe_async(const Block& block) {
    std::string text;
    if (!block.async) return text;
    for (const TransactionBarrier& b : block.async->barriers) {
        if (b.waiting.empty()) continue;
        text += "; the barrier at shared byte " + std::to_string(b.offset) + ", phase " + std::to_string(b.phase) + ", lacks " +
                std::to_string(b.missing) + " of " + std::to_string(b.arrivals) + " arrivals and " + std::to_string(b.bytes - bytes_under_way(b)) + " bytes";
    }
    return text;
}

std::string unfinished_async(const Block& block) {
    if (!block.async) return "";
    for (const TransactionBarrier& b : block.async->barriers) {
        if (!b.copies.empty()) return "ended before a copy had come (" + Place(b.copies[0].site).describe() + ")" + describe_async(block);
    }
    for (const Group& group : block.async->groups) {
        if (!group.products.empty()) return "ended without waiting for a product (" + Place(group.products[0].mma.site).describe() + ")";
    }
    return "";
}

// The copy engine

void copy_box(void* shared, const void* pointer, int column, int row, uint64_t* barrier_pointer, Site site) {
    Block& block = *current->block;
    TransactionBarrier& barrier = find(barrier_pointer, "copy_box", site);
    Map map;
    memcpy(&map, pointer, sizeof map);
    if (map.magic != Map::kMagic) fail(Fault::LaunchFailed, site, "copy_box: the map was not made by cuTensorMapEncodeTiled");
    const uint32_t offset = shared_offset(shared), bytes = map.box_bytes();
    if (offset >= block.shared_end || offset + bytes > block.shared_end) {
        fail(Fault::IllegalAddress, site, "copy_box: %u bytes do not lie in shared memory", bytes);
    }
    if (offset % 128) fail(Fault::MisalignedAddress, site, "copy_box: shared address %u is not a multiple of 128", offset);
    if (const void* wild = map.outside(column, row)) check_global(wild, 1, "copy_box", site);
    if (checker) checker->access(*current, shared, bytes, Access::Write, site);
    memset(shared, kPoison, bytes);
    barrier.copies.push_back({static_cast<unsigned char*>(shared), map, column, row, current, site});
    if (!barrier.waiting.empty()) end_phase_if_complete(barrier);
}

// Products of four warps

void group_collective(const char* operation, Site site, void* argument, void (*work)(void* const* arguments)) {
    Thread& self = *current;
    Block& block = *self.block;
    const int first_warp = self.index / kGroupSize * 4;
    Group& group = async_of(block).groups[self.index / kGroupSize];
    if (group.arrived == 0) {
        if (block.thread_count < (first_warp + 4) * kWarpSize) fail(Fault::LaunchFailed, site, "%s in a group of fewer than four warps", operation);
        group.operation = operation;
        group.site = site;
    } else if (strcmp(group.operation, operation) || !same(group.site, site)) {
        fail(Fault::LaunchFailed, site, "divergent group of warps: thread %d is at %s, others wait at %s (%s)", self.index, operation, group.operation,
             Place(group.site).describe().c_str());
    }
    self.operation = operation;
    self.site = site;
    group.arguments[self.index % kGroupSize] = argument;
    if (++group.arrived < kGroupSize) {
        self.warp->ready &= ~(1u << self.lane);
        park();
        return;
    }
    group.arrived = 0;
    for (int w = first_warp; w < first_warp + 4; w++) block.warps[w].ready = ~0u;
    if (work) work(group.arguments);
}

static Group& group_of_current() { return async_of(*current->block).groups[current->index / kGroupSize]; }

// A [rows, 16] operand, rows being of m or n, in tiles of 128 swizzled bytes a row: 8 rows of 64 k each, or where k runs across them 8 k of 64 rows each.
static void read_operand(uint64_t descriptor, bool across, int rows, uint16_t* values, Site site) {
    Block& block = *current->block;
    const uint32_t start = (descriptor & 0x3fff) << 4, next_rows = (descriptor >> 16 & 0x3fff) << 4, next_tile = (descriptor >> 32 & 0x3fff) << 4;
    if (descriptor >> 62 != 1) fail(Fault::LaunchFailed, site, "warpgroup_mma: the operand is not swizzled by 128 bytes");
    if (start >> 7 & 7) fail(Fault::MisalignedAddress, site, "warpgroup_mma: the operand at shared byte %u begins in the middle of 1024 bytes", start);
    // Sixteen bytes that lie together: eight k of a row, or eight rows at a k.
    for (int outer = 0; outer < (across ? 16 : rows); outer++) {
        for (int inner = 0; inner < (across ? rows : 16); inner += 8) {
            const uint32_t linear = start + outer / 8 * next_tile + outer % 8 * 128 + inner / 64 * next_rows + inner % 64 * 2;
            const uint32_t address = linear ^ (linear >> 7 & 7) << 4;
            if (address + 16 > block.shared_end) fail(Fault::IllegalAddress, site, "warpgroup_mma: an operand reaches past the block's shared memory");
            if (checker) checker->access(*current, block.shared + address, 16, Access::Read, site);
            uint16_t chunk[8];
            memcpy(chunk, block.shared + address, 16);
            for (int i = 0; i < 8; i++) values[across ? (inner + i) * 16 + outer : outer * 16 + inner + i] = chunk[i];
        }
    }
}

static std::vector<uint16_t> read_operands(const GroupMma& mma) {
    std::vector<uint16_t> values((64 + mma.n) * 16);
    read_operand(mma.a, mma.across_a, 64, values.data(), mma.site);
    read_operand(mma.b, mma.across_b, mma.n, values.data() + 64 * 16, mma.site);
    return values;
}

// Calls each(register, index into [64, n]) for every sum of the group.
template <class Each>
static void for_sums(const std::vector<float*>& registers, int n, const Each& each) {
    for (int thread = 0; thread < kGroupSize; thread++) {
        const int row = thread / 32 * 16 + thread % 32 / 4, column = thread % 4 * 2;
        for (int i = 0; i < n / 2; i++) each(registers[thread][i], (row + (i / 2 % 2) * 8) * n + i / 4 * 8 + column + i % 2);
    }
}

void group_mma_work(void* const* arguments) {
    Group& group = group_of_current();
    const GroupMma& mma = *static_cast<const GroupMma*>(arguments[0]);
    if (!group.fenced) fail(Fault::LaunchFailed, mma.site, "warpgroup_mma without a warpgroup_fence since the start or the last wait for all");
    for (int i = 1; i < kGroupSize; i++) {
        const GroupMma& other = *static_cast<const GroupMma*>(arguments[i]);
        if (other.a != mma.a || other.b != mma.b) fail(Fault::LaunchFailed, mma.site, "warpgroup_mma: threads of the group have different operands");
    }
    auto sums = std::find_if(group.sums.begin(), group.sums.end(), [&](const GroupSums& s) { return s.registers[0] == mma.d; });
    if (sums == group.sums.end()) {
        group.sums.push_back({std::vector<float*>(kGroupSize), std::vector<float>(64 * mma.n), 0});
        sums = group.sums.end() - 1;
        for (int i = 0; i < kGroupSize; i++) sums->registers[i] = static_cast<GroupMma*>(arguments[i])->d;
        for_sums(sums->registers, mma.n, [&](float& value, int i) {
            sums->values[i] = value;
            memset(&value, kPoison, sizeof value);
        });
    }
    sums->products++;
    group.products.push_back({mma, group.batch, read_operands(mma)});
}

static float widen(uint16_t bits, bool is_f16) {
    if (is_f16) return _cvtsh_ss(bits);
    const uint32_t word = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &word, 4);
    return value;
}

// values [64, n] += a · bᵀ, sums in the order of k.
static void multiply(const GroupProduct& product, std::vector<float>& values) {
    const int n = product.mma.n;
    float a[64][16];
    std::vector<float> b(16 * n);  // [k, n]
    for (int i = 0; i < 64 * 16; i++) a[i / 16][i % 16] = widen(product.operands[i], product.mma.is_f16);
    for (int i = 0; i < n * 16; i++) b[i % 16 * n + i / 16] = widen(product.operands[64 * 16 + i], product.mma.is_f16);
    for (int row = 0; row < 64; row++) {
        for (int column = 0; column < n; column += 32) {
            float* const to = &values[row * n + column];
            __m256 sums[4];
            for (int i = 0; i < 4; i++) sums[i] = _mm256_loadu_ps(to + 8 * i);
            for (int k = 0; k < 16; k++) {
                const __m256 factor = _mm256_broadcast_ss(&a[row][k]);
                for (int i = 0; i < 4; i++) sums[i] = _mm256_fmadd_ps(factor, _mm256_loadu_ps(&b[k * n + column + 8 * i]), sums[i]);
            }
            for (int i = 0; i < 4; i++) _mm256_storeu_ps(to + 8 * i, sums[i]);
        }
    }
}

void group_fence_work(void* const*) { group_of_current().fenced = true; }
void group_commit_work(void* const*) { group_of_current().batch++; }

void group_wait_work(void* const* arguments) {
    Group& group = group_of_current();
    const uint32_t pending = *static_cast<const int*>(arguments[0]);
    while (!group.products.empty() && group.products.front().batch + pending < group.batch) {
        const GroupProduct product = std::move(group.products.front());
        group.products.pop_front();
        if (read_operands(product.mma) != product.operands) {
            fail(Fault::LaunchFailed, product.mma.site, "an operand of this product was overwritten before the wait for it, at %s",
                 Place(current->site).describe().c_str());
        }
        const auto sums = std::find_if(group.sums.begin(), group.sums.end(), [&](const GroupSums& s) { return s.registers[0] == product.mma.d; });
        multiply(product, sums->values);
        if (--sums->products) continue;
        for_sums(sums->registers, product.mma.n, [&](float& value, int i) { value = sums->values[i]; });
        group.sums.erase(sums);
    }
    if (pending == 0) group.fenced = false;
}

}  // namespace emulate
