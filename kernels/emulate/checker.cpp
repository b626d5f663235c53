// Finds races and wild accesses. The checked library's kernels are compiled with -fsanitize=thread, so that every load and store calls one of the __tsan
// functions below (libtsan itself is not linked); the runtime reports the accesses of asynchronous copies, load_matrix and atomics.
//
// Every 4-byte word of shared and of device memory has a cell: who wrote it last and who read it last, between which barriers. Two accesses to a word, one of
// them a write, race where nothing orders them: a sync_block between threads of a block, a sync_warp between lanes of a warp. Nothing orders the blocks of a launch.
// A word whose halves belong to different threads remembers the last of them only: a race may be missed there, none is invented.
#include <string.h>
#include <sys/mman.h>
#include <stdlib.h>
#include "memory.h"
#include "runtime.h"

namespace emulate {

struct Record {
    Place place;
    uint32_t epoch;       // Block::epoch at the time: names the block and the stretch between two of its barriers
    uint16_t warp_epoch;  // Warp::epoch at the time
    uint16_t who : 11;    // a thread; kLanes + w: several lanes of warp w; kThreads: lanes of several warps
    uint16_t mask : 4;    // bytes of the word
    uint16_t flag : 1;    // of a write: atomic; of a read: several blocks
};
struct Cell { Record write, read; };
static_assert(sizeof(Cell) == 32);

constexpr uint16_t kLanes = kMaxThreads, kThreads = kLanes + kMaxThreads / kWarpSize;
constexpr uintptr_t kCellsPerByte = sizeof(Cell) / 4;

static int warp_of(uint16_t who) { return who < kLanes ? who / kWarpSize : who < kThreads ? who - kLanes : -1; }

static Cell shared_cells[kSharedCapacity / 4];
static Cell* global_cells() {
    static Cell* const cells = [] {
        constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
        void* mapped = mmap(reinterpret_cast<void*>(kDeviceEnd), (kDeviceEnd - kDeviceBegin) * kCellsPerByte, PROT_READ | PROT_WRITE, kFlags, -1, 0);
        if (mapped != MAP_FAILED) return static_cast<Cell*>(mapped);
        perror("emulator: no address space for the checker");
        abort();
    }();
    return cells;
}

// Whether nothing orders a recorded access before what `thread` does now.
static bool concurrent(const Record& earlier, const Thread& thread, bool global) {
    const Block& block = *thread.block;
    if (earlier.epoch < block.first_epoch) return global && earlier.epoch >= block.launch_epoch;
    if (earlier.epoch < block.epoch || earlier.who == thread.index) return false;
    return warp_of(earlier.who) != thread.index / kWarpSize || earlier.warp_epoch == thread.warp->epoch;
}

static std::string describe_earlier(const Record& earlier, const Block& block) {
    if (earlier.epoch < block.first_epoch) return "another block of the launch";
    if (earlier.who < kLanes) return "thread " + std::to_string(earlier.who);
    return earlier.who < kThreads ? "lanes of warp " + std::to_string(earlier.who - kLanes) : "threads of several warps";
}

static std::string describe_memory(const Block& block, const void* address) {
    const uintptr_t offset = reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(block.shared);
    if (offset >= kSharedCapacity) return "global memory";
    for (const SharedArray& array : block.arrays) {
        if (offset - array.offset < array.bytes) return std::string("shared memory (") + array.name + " + " + std::to_string(offset - array.offset) + " bytes)";
    }
    return "shared memory";
}

static void check_cell(Cell& cell, Thread& thread, unsigned mask, Access access, Place place, bool global, const void* address) {
    Block& block = *thread.block;
    const bool after_write = cell.write.mask & mask && !(access == Access::Atomic && cell.write.flag) && concurrent(cell.write, thread, global);
    const bool read_by_blocks = global && cell.read.flag && cell.read.epoch >= block.launch_epoch;
    const bool after_read = access != Access::Read && cell.read.mask & mask && (read_by_blocks || concurrent(cell.read, thread, global));
    if (after_write || after_read) {
        const Record& earlier = after_write ? cell.write : cell.read;
        const bool blocks = earlier.epoch < block.first_epoch || (!after_write && read_by_blocks);
        fail(Fault::LaunchFailed, place, "race in %s: this thread %s what %s %s at %s, and no %s lies between", describe_memory(block, address).c_str(),
             access == Access::Read ? "reads" : "writes", blocks ? "another block of the launch" : describe_earlier(earlier, block).c_str(),
             after_write ? "wrote" : "read", earlier.place.describe().c_str(), blocks ? "launch" : "barrier");
    }
    const Record now{place, block.epoch, thread.warp->epoch, (uint16_t)thread.index, (uint16_t)mask, access == Access::Atomic};
    if (access != Access::Read) {
        cell.write = now;
        return;
    }
    const Record before = cell.read;
    cell.read = now;
    if (before.mask != mask || before.epoch < block.launch_epoch) return;
    cell.read.flag = global && (before.flag || before.epoch < block.first_epoch);
    if (before.epoch == block.epoch && before.who != thread.index) {
        const int warp = thread.index / kWarpSize;
        cell.read.who = warp_of(before.who) == warp ? kLanes + warp : kThreads;
    }
}

extern "C" __attribute__((visibility("hidden"))) char __ehdr_start, _end;

static bool between(const void* address, const void* begin, const void* end) { return address >= begin && address < end; }

// What kernels touch besides device and shared memory: their stacks, the library's constants, their parameters and what seam.h reads of the launch.
static bool is_private(const Thread& thread, const void* address) {
    const Block& block = *thread.block;
    const Launch& launch = *block.launch;
    return between(address, block.threads[0].stack, block.emergency_stack_top) || between(address, &block, &block + 1) ||
           between(address, &launch, &launch + 1) ||
           between(address, launch.parameter_bytes.data(), launch.parameter_bytes.data() + launch.parameter_bytes.size()) ||
           between(address, launch.parameters.data(), launch.parameters.data() + launch.parameters.size()) ||
           between(address, &__ehdr_start, &_end) || between(address, &current, &current + 1);
}

static void check_access(Thread& thread, const void* pointer, size_t bytes, Access access, Place place) {
    Block& block = *thread.block;
    const uintptr_t address = reinterpret_cast<uintptr_t>(pointer), offset = address - reinterpret_cast<uintptr_t>(block.shared);
    const char* const verb = access == Access::Read ? "read" : access == Access::Write ? "write" : "atomic operation";
    Cell* cells;
    const bool global = offset >= kSharedCapacity;
    if (!global) {
        bool inside = false;
        const char* before = "";
        for (const SharedArray& array : block.arrays) {
            inside |= offset >= array.offset && offset + bytes <= array.offset + array.bytes;
            if (offset >= array.offset) before = array.name;
        }
        if (!inside) fail(Fault::IllegalAddress, place, "%s of %zu bytes of shared memory outside of its arrays, behind %s", verb, bytes, before);
        cells = shared_cells + offset / 4;
    } else if (address >= kDeviceBegin && address < kDeviceEnd) {
        check_global(pointer, bytes, verb, place);
        cells = global_cells() + (address - kDeviceBegin) / 4;
    } else {
        if (!is_private(thread, pointer)) fail(Fault::IllegalAddress, place, "%s of %zu bytes at %p, which is the host's memory", verb, bytes, pointer);
        return;
    }
    const uintptr_t end = address + bytes;
    for (uintptr_t word = address / 4 * 4; word < end; word += 4, cells++) {
        unsigned mask = 15;
        if (word < address) mask &= 15u << (address - word);
        if (word + 4 > end) mask &= 15u >> (word + 4 - end);
        check_cell(*cells, thread, mask, access, place, global, reinterpret_cast<const void*>(word));
    }
}

static void forget(const void* address, size_t bytes) {
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(address) - kDeviceBegin) * kCellsPerByte;
    madvise(reinterpret_cast<char*>(global_cells()) + begin, bytes * kCellsPerByte, MADV_DONTNEED);
}

static const Checker instance{check_access, forget};
[[maybe_unused]] static const bool installed = (checker = &instance, true);

static inline void on_access(const void* address, size_t bytes, Access access, const void* return_address, bool aligned) {
    if (!current || !checker) return;
    const Place place = Place::of_code(static_cast<const char*>(return_address) - 1);
    if (aligned && reinterpret_cast<uintptr_t>(address) % bytes) {
        fail(Fault::MisalignedAddress, place, "address %p of %zu bytes that move together is not a multiple of it", address, bytes);
    }
    check_access(*current, address, bytes, access, place);
}

}  // namespace emulate

// What the compiler calls

#define ON_ACCESS(name, bytes, access, aligned) \
    extern "C" void __tsan_##name(void* address) { emulate::on_access(address, bytes, emulate::Access::access, __builtin_return_address(0), aligned); }
#define ON_SIZE(bytes) ON_ACCESS(read##bytes, bytes, Read, true) ON_ACCESS(write##bytes, bytes, Write, true)
#define ON_UNALIGNED(bytes) ON_ACCESS(unaligned_read##bytes, bytes, Read, false) ON_ACCESS(unaligned_write##bytes, bytes, Write, false)
ON_SIZE(1)
ON_SIZE(2)
ON_SIZE(4)
ON_SIZE(8)
ON_SIZE(16)
ON_UNALIGNED(2)
ON_UNALIGNED(4)
ON_UNALIGNED(8)
ON_UNALIGNED(16)
extern "C" void __tsan_read_range(void* address, size_t bytes) {
    emulate::on_access(address, bytes, emulate::Access::Read, __builtin_return_address(0), false);
}
extern "C" void __tsan_write_range(void* address, size_t bytes) {
    emulate::on_access(address, bytes, emulate::Access::Write, __builtin_return_address(0), false);
}
extern "C" void __tsan_init() {}
