// What an emulated launch is made of: a grid of blocks, each run by one operating-system thread; its CUDA threads are fibers that give way to each other only
// at barriers and warp collectives. Kernels see this through seam.h and ptx.h; the driver (driver.cpp) calls run().
#pragma once
#include <stdint.h>
#include <atomic>
#include <mutex>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace emulate {

using Site = std::source_location;

struct Dim3 { unsigned x = 1, y = 1, z = 1; };

constexpr int kWarpSize = 32;
constexpr int kMaxThreads = 1024;

// What a fault makes cuLaunchKernel's stream report; the values are those of CUresult.
enum class Fault { None = 0, InvalidValue = 1, IllegalAddress = 700, OutOfResources = 701, MisalignedAddress = 716, LaunchFailed = 719 };

// Counts of one kernel since the library was loaded.
struct Counters {
    uint64_t launches;
    uint64_t matrix_phases;     // shared-memory phases that load_matrix needed at least: four a call of a warp
    uint64_t matrix_conflicts;  // phases added to these by bank conflicts
    uint64_t async_copies;      // 16-byte copies started by copy_async
};

// An entry point of the library; registers itself.
struct Kernel {
    Kernel(const char* name, const char* path, int max_threads, void (*run)(void**), const uint16_t* parameter_sizes);
    const char* name;
    std::string file;  // "rmsnorm" of kernels/rmsnorm.cu
    int max_threads;
    void (*run)(void**);
    const uint16_t* parameter_sizes;  // ends with 0
    int max_dynamic_shared = 48 * 1024;  // what cuFuncSetAttribute allowed
    Counters counters{};
};
Kernel* find_kernel(const char* name);

// Calls `Function` with parameters unpacked from the driver's void**.
template <auto Function>
struct Call;
template <class... Parameters, void (*Function)(Parameters...)>
struct Call<Function> {
    static constexpr uint16_t sizes[] = {sizeof(Parameters)..., 0};
    static void run(void** parameters) { unpack(parameters, std::index_sequence_for<Parameters...>()); }
    template <size_t... Index>
    static void unpack([[maybe_unused]] void** parameters, std::index_sequence<Index...>) {
        Function(*static_cast<std::remove_const_t<Parameters>*>(parameters[Index])...);
    }
};

struct Launch {
    Kernel* kernel;
    Dim3 grid, threads;
    uint32_t dynamic_shared = 0;
    uint32_t max_shared;  // of one block, static and dynamic
    void** parameters;
    // Where not 0: one operating-system thread, and warps and lanes in an order drawn from it.
    uint64_t seed = 0;

    std::atomic<uint64_t> next_block{0};
    std::atomic<bool> failed{false};
    std::mutex mutex;  // of what follows
    Fault fault = Fault::None;
    std::string message;
    Counters counters{};
};
// Runs the launch to its end or its first fault, which is left in `launch`. One launch at a time.
void run(Launch& launch);

struct Block;
struct Warp;

struct AsyncCopy {
    void* shared;
    const void* global;
    int bytes;
    uint32_t group;
    Site site;
};

// One CUDA thread and its fiber.
struct Thread {
    void* stack_pointer;
    Dim3 thread_index;
    Block* block;
    Warp* warp;
    int lane, index;
    bool ended, at_block_barrier;
    const char* operation;  // the barrier or collective that it is in, for reports
    Site site;
    std::vector<AsyncCopy> copies;
    uint32_t copy_group;  // number of groups committed
    unsigned char* stack_top;
};

struct Warp {
    Thread* threads;
    int count;       // lanes that exist
    uint32_t ready;  // lanes that can run
    int arrived;     // lanes in the current collective
    const char* operation;
    Site site;
    void* arguments[kWarpSize];
};

struct SharedArray {
    const void* identity;
    const char* name;
    uint32_t offset, bytes;
};

struct Block {
    Launch* launch;
    Dim3 index;
    int thread_count, warp_count, live;
    Warp warps[kMaxThreads / kWarpSize];
    Thread threads[kMaxThreads];
    int barrier_arrived;
    const char* barrier_operation;
    bool barrier_any, barrier_result;
    unsigned char* shared;  // kSharedCapacity bytes
    uint32_t shared_used;
    std::vector<SharedArray> arrays;
    void* scheduler_stack_pointer;
    uint64_t random;
    Counters counters;
};
constexpr uint32_t kSharedCapacity = 256 * 1024;

// The CUDA thread that runs on this operating-system thread.
extern __thread Thread* current __attribute__((tls_model("initial-exec")));

// Ends the launch with a message that names kernel, block and thread. Does not return.
[[noreturn]] __attribute__((format(printf, 3, 4))) void fail(Fault fault, Site site, const char* format, ...);

void* shared_static(const void* identity, const char* name, size_t bytes);
unsigned char* shared_dynamic();

// Waits for all threads of the block; returns whether `predicate` held for any.
bool block_barrier(const char* operation, bool predicate, Site site);
// Waits for all 32 lanes; the last one calls work with what each lane gave.
void warp_collective(const char* operation, Site site, void* argument, void (*work)(void* const* arguments));

// Zeros where global is null.
void copy_async(void* shared, const void* global, int bytes, Site site);
void copy_async_commit();
void copy_async_wait(int pending);

// Fails unless the 16 bytes at `address` lie in the block's shared memory, aligned.
void check_shared_row(const void* address, const char* operation, Site site);
// Fails unless `bytes` at `address` lie in one allocation of the device. Defined by memory.cpp.
void check_global(const void* address, size_t bytes, const char* operation, Site site);

}  // namespace emulate
