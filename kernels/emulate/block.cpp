// Fibers, the schedule of a block, barriers, warp collectives, shared memory and asynchronous copies.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <algorithm>
#include "runtime.h"

namespace emulate {

__thread Thread* current __attribute__((tls_model("initial-exec"))) = nullptr;
const Checker* checker = nullptr;

// Registers that a call preserves go to the old stack, its pointer to *save; then the same backwards from the new stack.
extern "C" void emulate_switch(void** save, void* stack_pointer);
asm(R"(
    .text
    .hidden emulate_switch
    .globl emulate_switch
    .type emulate_switch, @function
emulate_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size emulate_switch, . - emulate_switch
)");

constexpr size_t kStackStride = 128 * 1024, kPage = 4096;
// Stacks begin at different offsets into a page, so that the lanes of a warp do not share the same few lines of the cache.
constexpr size_t kStackColours = 32, kStackColour = 1088;

static unsigned char* reserve(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED) return static_cast<unsigned char*>(memory);
    fprintf(stderr, "emulator: no memory for the stacks of a block\n");
    abort();
}

Block* new_block() {
    Block* block = new Block{};
    // A page that nobody may touch before and behind.
    unsigned char* const shared = reserve(kPage + kSharedCapacity + kPage);
    mprotect(shared, kPage, PROT_NONE);
    mprotect(shared + kPage + kSharedCapacity, kPage, PROT_NONE);
    block->shared = shared + kPage;
    unsigned char* const stacks = reserve(kStackStride * (kMaxThreads + 1));
    for (size_t i = 0; i < kMaxThreads; i++) {
        Thread& thread = block->threads[i];
        thread.stack = stacks + i * kStackStride;
        thread.stack_top = thread.stack + kStackStride - i % kStackColours * kStackColour;
        mprotect(thread.stack, kPage, PROT_NONE);
    }
    block->emergency_stack_top = stacks + kStackStride * (kMaxThreads + 1);
    return block;
}

void fail(Fault fault, Place place, const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    Block& block = *current->block;
    record(block, fault, ", thread " + describe(current->thread_index) + ": " + text + " (" + place.describe() + ")");
    block.failed = true;
    void* abandoned;
    emulate_switch(&abandoned, block.scheduler_stack_pointer);
    abort();
}

void misaligned(const void* address, int bytes, Site site) {
    fail(Fault::MisalignedAddress, site, "a packet's address %p is not a multiple of %d", address, bytes);
}

// The schedule of a block

static uint64_t next_random(Block& block) {  // splitmix64
    uint64_t z = block.random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static int random_bit(Block& block, uint32_t mask) {
    for (int skip = next_random(block) % __builtin_popcount(mask); skip > 0; skip--) mask &= mask - 1;
    return __builtin_ctz(mask);
}

// The bit behind `last`, or from the beginning again.
static int next_bit(uint32_t mask, int last) {
    const uint32_t after = mask & ~((2u << last) - 1);
    return __builtin_ctz(after ? after : mask);
}

// The next lane of the warp that can run, else the scheduler of the block.
__attribute__((noinline)) void park() {
    Thread* self = current;
    Block& block = *self->block;
    const uint32_t ready = self->warp->ready;
    const uint64_t seed = block.launch->seed;
    void* to = block.scheduler_stack_pointer;
    if (ready && !(seed && next_random(block) % 8 == 0)) {
        current = &self->warp->threads[seed ? random_bit(block, ready) : next_bit(ready, self->lane)];
        to = current->stack_pointer;
    }
    emulate_switch(&self->stack_pointer, to);
}

static void thread_main() {
    Launch& launch = *current->block->launch;
    launch.kernel->call(launch.parameters.data());
    current->ended = true;
    current->block->live--;
    current->warp->ready &= ~(1u << current->lane);
    park();
    abort();
}

static void start_threads(Block& block) {
    const Dim3 size = block.launch->threads;
    block.thread_count = block.live = size.x * size.y * size.z;
    block.warp_count = (block.thread_count + kWarpSize - 1) / kWarpSize;
    block.barrier_arrived = 0;
    block.barrier_any = false;
    for (int i = 0; i < block.thread_count; i++) {
        Thread& thread = block.threads[i];
        thread.thread_index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
        thread.block = &block;
        thread.warp = &block.warps[i / kWarpSize];
        thread.index = i;
        thread.lane = i % kWarpSize;
        thread.ended = false;
        thread.operation = "its start";
        thread.copies.clear();
        thread.copy_group = 0;
        void** frame = reinterpret_cast<void**>(thread.stack_top) - 8;  // six registers, the return address, alignment
        frame[6] = reinterpret_cast<void*>(&thread_main);
        thread.stack_pointer = frame;
    }
    for (int w = 0; w < block.warp_count; w++) {
        Warp& warp = block.warps[w];
        warp.threads = block.threads + w * kWarpSize;
        warp.count = std::min(kWarpSize, block.thread_count - w * kWarpSize);
        warp.ready = warp.all();
        warp.arrived = 0;
        warp.epoch = 0;
    }
}

void run_block(Block& block) {
    // What the block before left is gone: whoever reads what nobody of this block wrote gets NaN.
    memset(block.shared, kPoison, block.shared_end);
    block.arrays.assign(1, {nullptr, "dynamic", 0, block.launch->dynamic_shared});
    block.shared_bytes = block.launch->dynamic_shared;
    block.shared_end = block.shared_bytes;
    memset(block.shared, kPoison, block.shared_end);
    block.async.reset();
    block.first_epoch = ++block.epoch;
    block.failed = false;
    start_threads(block);
    for (int warp = kMaxThreads / kWarpSize - 1; block.live > 0;) {
        uint32_t ready = 0;
        for (int w = 0; w < block.warp_count; w++) ready |= (uint32_t)(block.warps[w].ready != 0) << w;
        if (!ready) return record(block, Fault::LaunchFailed, ": deadlock: " + describe_threads(block) + describe_async(block));
        const bool random = block.launch->seed != 0;
        warp = random ? random_bit(block, ready) : next_bit(ready, warp);
        Warp& chosen = block.warps[warp];
        current = &chosen.threads[random ? random_bit(block, chosen.ready) : __builtin_ctz(chosen.ready)];
        emulate_switch(&block.scheduler_stack_pointer, current->stack_pointer);
        current = nullptr;
        if (block.failed) return;
    }
    for (int i = 0; i < block.thread_count; i++) {
        const Thread& thread = block.threads[i];
        if (thread.copies.empty()) continue;
        return record(block, Fault::LaunchFailed, ", thread " + describe(thread.thread_index) + ": ended without waiting for " +
                      std::to_string(thread.copies.size()) + " of its copies (" + Place(thread.copies[0].site).describe() + ")");
    }
    if (const std::string text = unfinished_async(block); !text.empty()) record(block, Fault::LaunchFailed, ": " + text);
}

// Shared memory: the launch's dynamic part, then each SHARED array where the first thread of the block came to it

unsigned char* shared_dynamic() { return current->block->shared; }

void* shared_static(const void* identity, const char* name, size_t bytes, Site site) {
    Block& block = *current->block;
    for (const SharedArray& array : block.arrays) {
        if (array.identity == identity) return block.shared + array.offset;
    }
    block.shared_bytes = (block.shared_bytes + 15) / 16 * 16 + (uint32_t)bytes;
    const uint32_t offset = (block.shared_end + kSharedGap + kSharedGap - 1) / kSharedGap * kSharedGap;
    if (block.shared_bytes > block.launch->max_shared || offset + bytes > kSharedCapacity) {
        fail(Fault::OutOfResources, site, "shared array %s of %zu bytes does not fit into the %u of a block", name, bytes, block.launch->max_shared);
    }
    memset(block.shared + block.shared_end, kPoison, offset + bytes - block.shared_end);
    block.arrays.push_back({identity, name, offset, (uint32_t)bytes});
    block.shared_end = offset + (uint32_t)bytes;
    return block.shared + offset;
}

void check_shared_row(const void* address, const char* operation, Site site) {
    const Block& block = *current->block;
    const uintptr_t offset = reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(block.shared);
    if (offset >= block.shared_end || offset + 16 > block.shared_end) {
        fail(Fault::IllegalAddress, site, "%s: not in the %u bytes of the block's shared memory", operation, block.shared_bytes);
    }
    if (offset % 16) fail(Fault::MisalignedAddress, site, "%s: shared address %zu is not a multiple of 16", operation, (size_t)offset);
}

// Barriers and collectives

bool block_barrier(const char* operation, bool predicate, Site site) {
    Thread& self = *current;
    Block& block = *self.block;
    if (block.barrier_arrived == 0) {
        block.barrier_operation = operation;
    } else if (strcmp(block.barrier_operation, operation)) {
        fail(Fault::LaunchFailed, site, "divergent barrier: this thread is at %s, others wait at %s", operation, block.barrier_operation);
    }
    self.operation = operation;
    self.site = site;
    block.barrier_any |= predicate;
    if (++block.barrier_arrived < block.thread_count) {
        self.warp->ready &= ~(1u << self.lane);
        park();
        return block.barrier_result;
    }
    for (int w = 0; w < block.warp_count; w++) {
        const Warp& warp = block.warps[w];
        for (int l = 1; l < warp.count; l++) {
            if (same(warp.threads[l].site, warp.threads[0].site)) continue;
            fail(Fault::LaunchFailed, warp.threads[l].site, "divergent barrier: lanes of warp %d arrived at %s from different places, one from %s", w,
                 operation, Place(warp.threads[0].site).describe().c_str());
        }
    }
    block.barrier_arrived = 0;
    block.barrier_result = block.barrier_any;
    block.barrier_any = false;
    block.epoch++;
    for (int w = 0; w < block.warp_count; w++) block.warps[w].ready = block.warps[w].all();
    return block.barrier_result;
}

void warp_collective(const char* operation, Site site, void* argument, void (*work)(void* const* arguments)) {
    Thread& self = *current;
    Warp& warp = *self.warp;
    if (warp.arrived == 0) {
        if (warp.count < kWarpSize) fail(Fault::LaunchFailed, site, "%s in a warp of %d threads", operation, warp.count);
        warp.operation = operation;
        warp.site = site;
    } else if (warp.operation != operation && strcmp(warp.operation, operation)) {
        fail(Fault::LaunchFailed, site, "divergent warp: lane %d is at %s, others wait at %s (%s)", self.lane, operation, warp.operation,
             Place(warp.site).describe().c_str());
    } else if (!same(warp.site, site)) {
        fail(Fault::LaunchFailed, site, "divergent warp: lane %d is at another %s than others (%s)", self.lane, operation, Place(warp.site).describe().c_str());
    }
    self.operation = operation;
    self.site = site;
    warp.arguments[self.lane] = argument;
    if (++warp.arrived < kWarpSize) {
        warp.ready &= ~(1u << self.lane);
        park();
        return;
    }
    warp.arrived = 0;
    warp.ready = ~0u;
    if (work) work(warp.arguments);
}

// Asynchronous copies

void copy_async(void* shared, const void* global, int bytes, Site site) {
    Thread& self = *current;
    if (bytes < 0 || bytes > 16) fail(Fault::LaunchFailed, site, "copy_async of %d bytes", bytes);
    if (reinterpret_cast<uintptr_t>(global) % 16) fail(Fault::MisalignedAddress, site, "copy_async: global address %p is not a multiple of 16", global);
    check_shared_row(shared, "copy_async", site);
    if (global) check_global(global, bytes ? bytes : 1, "copy_async", site);
    if (checker) {
        checker->access(self, shared, 16, Access::Write, site);
        if (bytes) checker->access(self, global, bytes, Access::Read, site);
    }
    memset(shared, kPoison, 16);
    self.copies.push_back({shared, global, bytes, self.copy_group, site});
    self.block->counters.async_copies++;
}

void copy_async_commit() { current->copy_group++; }

void copy_async_wait(int pending) {
    Thread& self = *current;
    size_t landed = 0;
    for (; landed < self.copies.size() && self.copies[landed].group + pending < self.copy_group; landed++) {
        const AsyncCopy& copy = self.copies[landed];
        if (checker) checker->access(self, copy.shared, 16, Access::Write, copy.site);
        if (copy.bytes) memcpy(copy.shared, copy.global, copy.bytes);
        memset(static_cast<unsigned char*>(copy.shared) + copy.bytes, 0, 16 - copy.bytes);
    }
    self.copies.erase(self.copies.begin(), self.copies.begin() + landed);
}

}  // namespace emulate
