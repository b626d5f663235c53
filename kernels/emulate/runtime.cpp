// Fibers, the schedule of a block, barriers, warp collectives and asynchronous copies.
#include "runtime.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <algorithm>
#include <condition_variable>
#include <map>
#include <thread>

namespace emulate {

__thread Thread* current __attribute__((tls_model("initial-exec"))) = nullptr;

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

// Kernels by name

static std::map<std::string, Kernel*>& kernels() {
    static auto* const instance = new std::map<std::string, Kernel*>;
    return *instance;
}
Kernel::Kernel(const char* name, const char* path, int max_threads, void (*run)(void**), const uint16_t* parameter_sizes)
    : name(name), max_threads(max_threads), run(run), parameter_sizes(parameter_sizes) {
    const char* begin = strrchr(path, '/');
    begin = begin ? begin + 1 : path;
    file.assign(begin, strcspn(begin, "."));
    if (kernels().emplace(name, this).second) return;
    fprintf(stderr, "emulator: two kernels have the name %s\n", name);
    abort();
}
Kernel* find_kernel(const char* name) {
    const auto found = kernels().find(name);
    return found == kernels().end() ? nullptr : found->second;
}

// Reports

static std::string describe(Dim3 d) { return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")"; }
static std::string describe(Site site) {
    const char* name = strstr(site.file_name(), "kernels/");
    return std::string(name ? name : site.file_name()) + ":" + std::to_string(site.line());
}
static bool same(Site a, Site b) {
    return !memcmp(&a, &b, sizeof a) || (a.line() == b.line() && a.column() == b.column() && !strcmp(a.file_name(), b.file_name()));
}

static void record(Block& block, Fault fault, const std::string& where, const std::string& text) {
    Launch& launch = *block.launch;
    std::lock_guard lock(launch.mutex);
    if (launch.failed.exchange(true)) return;
    launch.fault = fault;
    launch.message = std::string("kernel ") + launch.kernel->name + ", block " + describe(block.index) + where + ": " + text;
}

void fail(Fault fault, Site site, const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    Block& block = *current->block;
    record(block, fault, ", thread " + describe(current->thread_index), std::string(text) + " (" + describe(site) + ")");
    block.live = -1;
    void* abandoned;
    emulate_switch(&abandoned, block.scheduler_stack_pointer);
    abort();
}

// "threads 0-15 wait at sync_warp (kernels/x.cu:12); threads 16-31 have ended; …"
static std::string describe_threads(const Block& block) {
    std::string text;
    for (int first = 0, next; first < block.thread_count; first = next) {
        const Thread& t = block.threads[first];
        for (next = first + 1; next < block.thread_count; next++) {
            const Thread& u = block.threads[next];
            if (u.ended != t.ended || (!t.ended && (strcmp(u.operation, t.operation) || !same(u.site, t.site)))) break;
        }
        text += (first ? "; threads " : "threads ") + std::to_string(first) + (next - first > 1 ? "-" + std::to_string(next - 1) : "");
        text += t.ended ? " have ended" : std::string(" wait at ") + t.operation + " (" + describe(t.site) + ")";
    }
    return text;
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

// Gives way to the next lane of the warp that can run, else to the scheduler of the block; returns when this thread is resumed.
static __attribute__((noinline)) void park() {
    Thread* self = current;
    Block& block = *self->block;
    const uint32_t ready = self->warp->ready;
    void* to = block.scheduler_stack_pointer;
    if (ready && !(block.launch->seed && next_random(block) % 8 == 0)) {
        const uint32_t after = ready & ~((2u << self->lane) - 1);
        current = &self->warp->threads[block.launch->seed ? random_bit(block, ready) : __builtin_ctz(after ? after : ready)];
        to = current->stack_pointer;
    }
    emulate_switch(&self->stack_pointer, to);
}

static void thread_main() {
    Launch& launch = *current->block->launch;
    launch.kernel->run(launch.parameters);
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
        warp.ready = warp.count == kWarpSize ? ~0u : (1u << warp.count) - 1;
        warp.arrived = 0;
    }
}

static void run_block(Block& block) {
    memset(block.shared, 0xff, block.shared_used);  // NaN for whoever reads what no one of this block wrote
    block.shared_used = block.launch->dynamic_shared;
    memset(block.shared, 0xff, block.shared_used);
    block.arrays.clear();
    start_threads(block);
    int warp = 0;
    while (block.live > 0) {
        uint64_t ready = 0;
        for (int w = 0; w < block.warp_count; w++) ready |= (uint64_t)(block.warps[w].ready != 0) << w;
        if (!ready) return record(block, Fault::LaunchFailed, "", "deadlock: " + describe_threads(block));
        if (block.launch->seed) {
            warp = random_bit(block, (uint32_t)ready);
        } else {
            const uint64_t after = ready & ~((2ull << warp) - 1);
            warp = __builtin_ctzll(after ? after : ready);
        }
        Warp& chosen = block.warps[warp];
        current = &chosen.threads[block.launch->seed ? random_bit(block, chosen.ready) : __builtin_ctz(chosen.ready)];
        emulate_switch(&block.scheduler_stack_pointer, current->stack_pointer);
    }
    if (block.live < 0) return;
    for (int i = 0; i < block.thread_count; i++) {
        const Thread& thread = block.threads[i];
        if (thread.copies.empty()) continue;
        return record(block, Fault::LaunchFailed, ", thread " + describe(thread.thread_index),
                      "ended without waiting for " + std::to_string(thread.copies.size()) + " copies, the first of " + describe(thread.copies[0].site));
    }
}

// Workers: operating-system threads that take blocks of the current launch

struct Workers {
    std::mutex one_launch, mutex;
    std::condition_variable start, done;
    Launch* launch = nullptr;
    uint64_t generation = 0;
    int count = 0, wanted = 0, running = 0;
};
static Workers& workers() {
    static Workers* const instance = new Workers;  // never destroyed: its threads live as long as the process
    return *instance;
}

static Block* new_block() {
    Block* block = new Block{};
    auto reserve = [](size_t bytes) {
        void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            fprintf(stderr, "emulator: no memory for stacks\n");
            abort();
        }
        return static_cast<unsigned char*>(memory);
    };
    block->shared = reserve(kSharedCapacity);
    unsigned char* const stacks = reserve(kStackStride * kMaxThreads);
    for (size_t i = 0; i < kMaxThreads; i++) {
        mprotect(stacks + i * kStackStride, kPage, PROT_NONE);
        block->threads[i].stack_top = stacks + (i + 1) * kStackStride - i % kStackColours * kStackColour;
    }
    return block;
}

static void run_blocks(Block& block, Launch& launch) {
    block.launch = &launch;
    block.counters = {};
    const uint64_t count = (uint64_t)launch.grid.x * launch.grid.y * launch.grid.z;
    for (uint64_t next; !launch.failed && (next = launch.next_block++) < count;) {
        const uint64_t i = launch.seed & 1 ? count - 1 - next : next;
        block.index = {(unsigned)(i % launch.grid.x), (unsigned)(i / launch.grid.x % launch.grid.y), (unsigned)(i / launch.grid.x / launch.grid.y)};
        block.random = launch.seed * 0x2545f4914f6cdd1d + i;
        run_block(block);
    }
    current = nullptr;
    std::lock_guard lock(launch.mutex);
    launch.counters.matrix_phases += block.counters.matrix_phases;
    launch.counters.matrix_conflicts += block.counters.matrix_conflicts;
    launch.counters.async_copies += block.counters.async_copies;
}

static void worker_main(int index) {
    Workers& w = workers();
    Block* const block = new_block();
    uint64_t seen = 0;
    std::unique_lock lock(w.mutex);
    for (;;) {
        w.start.wait(lock, [&] { return w.generation != seen; });
        seen = w.generation;
        if (index >= w.wanted) continue;
        Launch* const launch = w.launch;
        lock.unlock();
        run_blocks(*block, *launch);
        lock.lock();
        if (--w.running == 0) w.done.notify_one();
    }
}

void run(Launch& launch) {
    Workers& w = workers();
    std::lock_guard one(w.one_launch);
    std::unique_lock lock(w.mutex);
    if (w.count == 0) {
        const char* asked = getenv("EMULATE_THREADS");
        w.count = std::clamp(asked ? atoi(asked) : (int)std::thread::hardware_concurrency(), 1, 16);
        for (int i = 0; i < w.count; i++) std::thread(worker_main, i).detach();
    }
    const uint64_t blocks = (uint64_t)launch.grid.x * launch.grid.y * launch.grid.z;
    w.launch = &launch;
    w.running = w.wanted = launch.seed ? 1 : (int)std::min<uint64_t>(w.count, blocks);
    w.generation++;
    w.start.notify_all();
    w.done.wait(lock, [&] { return w.running == 0; });
    Counters& total = launch.kernel->counters;
    total.launches++;
    total.matrix_phases += launch.counters.matrix_phases;
    total.matrix_conflicts += launch.counters.matrix_conflicts;
    total.async_copies += launch.counters.async_copies;
}

// Shared memory: the launch's dynamic part first, then each SHARED array where the first thread of the block came to it

unsigned char* shared_dynamic() { return current->block->shared; }

void* shared_static(const void* identity, const char* name, size_t bytes) {
    Block& block = *current->block;
    for (const SharedArray& array : block.arrays) {
        if (array.identity == identity) return block.shared + array.offset;
    }
    const uint32_t offset = (block.shared_used + 15) / 16 * 16;
    if (offset + bytes > block.launch->max_shared) {
        fail(Fault::OutOfResources, Site::current(), "shared array %s of %zu bytes does not fit: %u of %u bytes are used", name, bytes, offset, block.launch->max_shared);
    }
    block.arrays.push_back({identity, name, offset, (uint32_t)bytes});
    block.shared_used = offset + (uint32_t)bytes;
    memset(block.shared + offset, 0xff, bytes);
    return block.shared + offset;
}

void check_shared_row(const void* address, const char* operation, Site site) {
    const Block& block = *current->block;
    const uintptr_t offset = reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(block.shared);
    if (offset + 16 > block.shared_used || offset > kSharedCapacity) fail(Fault::IllegalAddress, site, "%s: not 16 bytes of shared memory", operation);
    if (offset % 16) fail(Fault::MisalignedAddress, site, "%s: shared address %zu is not a multiple of 16", operation, offset);
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
        self.at_block_barrier = true;
        self.warp->ready &= ~(1u << self.lane);
        park();
        return block.barrier_result;
    }
    block.barrier_arrived = 0;
    block.barrier_result = block.barrier_any;
    block.barrier_any = false;
    for (int w = 0; w < block.warp_count; w++) {
        Warp& warp = block.warps[w];
        warp.ready = warp.count == kWarpSize ? ~0u : (1u << warp.count) - 1;
        for (int l = 0; l < warp.count; l++) {
            if (same(warp.threads[l].site, warp.threads[0].site)) continue;
            fail(Fault::LaunchFailed, warp.threads[l].site, "divergent barrier: lanes of warp %d arrived at %s from different places, one from %s", w, operation,
                 describe(warp.threads[0].site).c_str());
        }
    }
    return block.barrier_result;
}

void warp_collective(const char* operation, Site site, void* argument, void (*work)(void* const* arguments)) {
    Thread& self = *current;
    Warp& warp = *self.warp;
    if (warp.arrived == 0) {
        warp.operation = operation;
        warp.site = site;
    } else if (warp.operation != operation && strcmp(warp.operation, operation)) {
        fail(Fault::LaunchFailed, site, "divergent warp: lane %d is at %s, others wait at %s (%s)", self.lane, operation, warp.operation, describe(warp.site).c_str());
    } else if (!same(warp.site, site)) {
        fail(Fault::LaunchFailed, site, "divergent warp: lane %d arrived at %s from another place than others (%s)", self.lane, operation,
             describe(warp.site).c_str());
    }
    if (warp.count < kWarpSize) fail(Fault::LaunchFailed, site, "%s in a warp of %d threads", operation, warp.count);
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
    if (bytes < 0 || bytes > 16) fail(Fault::LaunchFailed, site, "copy_async of %d bytes", bytes);
    if (reinterpret_cast<uintptr_t>(global) % 16) fail(Fault::MisalignedAddress, site, "copy_async: global address %p is not a multiple of 16", global);
    check_shared_row(shared, "copy_async", site);
    if (global || bytes) check_global(global, bytes ? bytes : 1, "copy_async", site);  // null and 0 bytes: copy_async_if, absent
    memset(shared, 0xff, 16);
    current->copies.push_back({shared, global, bytes, current->copy_group, site});
    current->block->counters.async_copies++;
}

void copy_async_commit() { current->copy_group++; }

void copy_async_wait(int pending) {
    Thread& self = *current;
    size_t landed = 0;
    for (; landed < self.copies.size() && self.copies[landed].group + pending < self.copy_group; landed++) {
        const AsyncCopy& copy = self.copies[landed];
        memcpy(copy.shared, copy.global, copy.bytes);
        memset(static_cast<unsigned char*>(copy.shared) + copy.bytes, 0, 16 - copy.bytes);
    }
    self.copies.erase(self.copies.begin(), self.copies.begin() + landed);
}

}  // namespace emulate
