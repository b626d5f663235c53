// Kernels by name, and the operating-system threads that take blocks of the current launch.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <thread>
#include "runtime.h"

namespace emulate {

static std::map<std::string, Kernel*>& kernels() {
    static auto* const instance = new std::map<std::string, Kernel*>;
    return *instance;
}

Kernel::Kernel(const char* name, const char* path, int max_threads, void (*call)(void**), const uint16_t* parameter_sizes)
    : name(name), max_threads(max_threads), call(call), parameter_sizes(parameter_sizes) {
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

Launch::Launch(Kernel* kernel, void** values) : kernel(kernel) {
    size_t count = 0;
    const auto chunks = [](size_t size) { return (size + sizeof(Chunk) - 1) / sizeof(Chunk); };
    for (const uint16_t* size = kernel->parameter_sizes; *size; size++) count += chunks(*size);
    parameter_bytes.resize(count);
    Chunk* to = parameter_bytes.data();
    for (const uint16_t* size = kernel->parameter_sizes; *size; to += chunks(*size++)) {
        memcpy(to, *values++, *size);
        parameters.push_back(to);
    }
}

// Faults of the processor in a kernel, and blocks that do not end: the thread continues in land(), on a stack of its own, and fails there like any other.

constexpr int kStopSignal = SIGUSR2;
static const int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, kStopSignal};
static struct sigaction previous_actions[65];
static __thread struct { int signal; const void *address, *instruction; } trapped __attribute__((tls_model("initial-exec")));

static int64_t limit_seconds() {
    static const int64_t seconds = [] {
        const char* asked = getenv("EMULATE_BLOCK_SECONDS");
        return asked ? atoll(asked) : 300;
    }();
    return seconds;
}

[[noreturn]] static void land() {
    const Place place = Place::of_code(trapped.instruction);
    const unsigned char* const address = static_cast<const unsigned char*>(trapped.address);
    if (trapped.signal == kStopSignal) fail(Fault::Timeout, place, "the block has not ended after %ld s", (long)limit_seconds());
    if (trapped.signal == SIGFPE) fail(Fault::LaunchFailed, place, "integer division by zero");
    if (trapped.signal == SIGILL) fail(Fault::LaunchFailed, place, "illegal instruction");
    if (address >= current->stack && address < current->stack_top) {
        fail(Fault::LaunchFailed, place, "the thread's stack is full: arrays too large, or recursion");
    }
    // What is not an address at all, or not aligned where the instruction wants it to be, comes without its address.
    fail(Fault::IllegalAddress, place, address ? "access to %p, where there is no memory" : "access by null pointer, or misaligned packet (%p)", address);
}

static void on_signal(int signal, siginfo_t* info, void* context) {
    if (current) {
        auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
        trapped = {signal, signal == SIGSEGV || signal == SIGBUS ? info->si_addr : nullptr, reinterpret_cast<void*>(registers[REG_RIP])};
        registers[REG_RIP] = reinterpret_cast<greg_t>(&land);
        registers[REG_RSP] = reinterpret_cast<greg_t>(current->block->emergency_stack_top - 8);
        return;
    }
    if (signal == kStopSignal) return;  // the block ended just now
    const struct sigaction& previous = previous_actions[signal];
    if (previous.sa_flags & SA_SIGINFO) return previous.sa_sigaction(signal, info, context);
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(signal);
    sigaction(signal, &previous, nullptr);  // happens again, as without the emulator
}

static void catch_signals() {
    for (int signal : kSignals) {
        struct sigaction action {};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaction(signal, &action, &previous_actions[signal]);
    }
}

// Workers

struct Workers {
    std::mutex one_launch, mutex;
    std::condition_variable start, done;
    std::vector<std::pair<pthread_t, Block*>> all;
    Launch* launch = nullptr;
    uint64_t generation = 0;
    int wanted = 0, running = 0;
};
static Workers& workers() {
    static Workers* const instance = new Workers;  // never destroyed: its threads live as long as the process
    return *instance;
}

static int64_t now() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch()).count() + 1; }

static void run_blocks(Block& block, Launch& launch) {
    block.launch = &launch;
    block.launch_epoch = block.epoch + 1;
    block.counters = {};
    const uint64_t count = (uint64_t)launch.grid.x * launch.grid.y * launch.grid.z;
    for (uint64_t next; !launch.failed && (next = launch.next_block++) < count;) {
        const uint64_t i = launch.seed % 2 ? count - 1 - next : next;
        block.index = {(unsigned)(i % launch.grid.x), (unsigned)(i / launch.grid.x % launch.grid.y), (unsigned)(i / launch.grid.x / launch.grid.y)};
        block.random = launch.seed * 0x2545f4914f6cdd1d + i;
        block.started = now();
        run_block(block);
    }
    block.started = 0;
    std::lock_guard lock(launch.mutex);
    launch.counters.add(block.counters);
}

static void worker_main(int index, Block* block) {
    Workers& w = workers();
    stack_t signal_stack{};
    signal_stack.ss_size = 64 * 1024;
    signal_stack.ss_sp = malloc(signal_stack.ss_size);
    sigaltstack(&signal_stack, nullptr);
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
    if (w.all.empty()) {
        catch_signals();
        const char* asked = getenv("EMULATE_THREADS");
        // The checker follows one thread.
        const int count = checker ? 1 : std::clamp(asked ? atoi(asked) : (int)std::thread::hardware_concurrency(), 1, 16);
        for (int i = 0; i < count; i++) {
            Block* const block = new_block();
            std::thread thread(worker_main, i, block);
            w.all.emplace_back(thread.native_handle(), block);
            thread.detach();
        }
    }
    const uint64_t blocks = (uint64_t)launch.grid.x * launch.grid.y * launch.grid.z;
    w.launch = &launch;
    w.running = w.wanted = launch.seed ? 1 : (int)std::min<uint64_t>(w.all.size(), blocks);
    w.generation++;
    w.start.notify_all();
    while (!w.done.wait_for(lock, std::chrono::seconds(1), [&] { return w.running == 0; })) {
        for (const auto& [thread, block] : w.all) {
            const int64_t started = block->started;
            if (started && now() - started > limit_seconds()) pthread_kill(thread, kStopSignal);
        }
    }
    launch.counters.launches = 1;
    launch.kernel->counters.add(launch.counters);
}

}  // namespace emulate
