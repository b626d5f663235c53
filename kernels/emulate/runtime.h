// What an emulated launch is made of: a grid of blocks, each run by one operating-system thread; its CUDA threads are fibers that give way to each other only
// at barriers and warp collectives. Kernels see this through seam.h and ptx.h; the driver (driver.cpp) calls run().
//   workers.cpp  kernels by name, the operating-system threads that run blocks, faults of the processor, time limit
//   block.cpp    fibers, the schedule of a block, barriers, collectives, shared memory, asynchronous copies
//   async.cpp    Hopper's barriers, copy engine and products of four warps
//   tensor.cpp   what warp collectives compute
//   memory.cpp   device memory
//   checker.cpp  races and wild accesses, by the compiler's instrumentation of every load and store; linked into the checked library only
//   report.cpp   how a fault is told
#pragma once
#include <stdint.h>
#include <atomic>
#include <memory>
#include <mutex>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace emulate {

using Site = std::source_location;

// Where a kernel does something: a line of its source, or an instruction of its code.
class Place {
public:
    Place() = default;
    Place(Site site) {
        static_assert(sizeof site == sizeof bits);
        __builtin_memcpy(&bits, &site, sizeof bits);
    }
    static Place of_code(const void* instruction) {
        Place place;
        place.bits = reinterpret_cast<uint64_t>(instruction) | kCode;
        return place;
    }
    // "kernels/rmsnorm.cu:40"
    std::string describe() const;
    bool operator==(const Place& other) const { return bits == other.bits; }

private:
    static constexpr uint64_t kCode = 1ull << 63;
    uint64_t bits = 0;
};

struct Dim3 { unsigned x = 1, y = 1, z = 1; };

constexpr int kWarpSize = 32;
constexpr int kMaxThreads = 1024;
// Address space of a block's shared memory: the largest GPU has 227 KB, arrays have gaps between them.
constexpr uint32_t kSharedCapacity = 256 * 1024, kSharedGap = 128;
// What fills memory that nobody has written: NaN in every floating-point type, -1.
constexpr int kPoison = 0xff;

// What a fault makes the launch's stream report; the values are those of CUresult.
enum class Fault { None = 0, InvalidValue = 1, IllegalAddress = 700, OutOfResources = 701, Timeout = 702, MisalignedAddress = 716, LaunchFailed = 719 };

// Counts of one kernel since the library was loaded.
struct Counters {
    uint64_t launches;
    uint64_t matrix_phases;     // shared-memory phases that load_matrix needs at least: four a call of a warp
    uint64_t matrix_conflicts;  // phases added to these by bank conflicts
    uint64_t async_copies;      // 16-byte copies started by copy_async
    void add(const Counters& other) {
        launches += other.launches;
        matrix_phases += other.matrix_phases;
        matrix_conflicts += other.matrix_conflicts;
        async_copies += other.async_copies;
    }
};

// An entry point of the library; registers itself.
struct Kernel {
    Kernel(const char* name, const char* path, int max_threads, void (*call)(void**), const uint16_t* parameter_sizes);
    const char* name;
    std::string file;  // "rmsnorm" of kernels/rmsnorm.cu
    int max_threads;
    void (*call)(void**);
    const uint16_t* parameter_sizes;     // ends with 0
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
    Launch(Kernel* kernel, void** parameters);  // copies what the parameters point to
    Launch(const Launch&) = delete;

    Kernel* kernel;
    Dim3 grid, threads;
    uint32_t dynamic_shared = 0;
    uint32_t max_shared = 163 * 1024;  // of one block, static and dynamic
    // Where not 0: one operating-system thread, and blocks, warps and lanes in an order drawn from it.
    uint64_t seed = 0;
    struct alignas(64) Chunk { unsigned char bytes[64]; };
    std::vector<Chunk> parameter_bytes;
    std::vector<void*> parameters;

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
struct Async;

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
    bool ended;
    const char* operation;  // the barrier or collective that it is in, for reports
    Site site;
    std::vector<AsyncCopy> copies;
    uint32_t copy_group;  // number of groups committed
    unsigned char *stack, *stack_top;
};

struct Warp {
    Thread* threads;
    int count;       // lanes that exist
    uint32_t ready;  // lanes that can run
    int arrived;     // lanes in the current collective
    const char* operation;
    Site site;
    void* arguments[kWarpSize];
    uint16_t epoch;  // number of sync_warp
    uint32_t all() const { return count == kWarpSize ? ~0u : (1u << count) - 1; }
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
    bool failed;
    Warp warps[kMaxThreads / kWarpSize];
    Thread threads[kMaxThreads];
    int barrier_arrived;
    const char* barrier_operation;
    bool barrier_any, barrier_result;
    unsigned char* shared;               // kSharedCapacity bytes
    uint32_t shared_bytes, shared_end;   // in use; behind the last array
    std::vector<SharedArray> arrays;     // the dynamic part first
    std::shared_ptr<Async> async;        // null until a kernel uses what async.h has
    // Numbers of a block's stretches between barriers, never used twice by this operating-system thread.
    uint32_t epoch, first_epoch, launch_epoch;
    void* scheduler_stack_pointer;
    uint64_t random;
    Counters counters;
    std::atomic<int64_t> started;  // second of the steady clock; 0 between launches
    unsigned char* emergency_stack_top;
};
// Memory for stacks and shared memory, which stay as long as the process.
Block* new_block();
// Runs block->index of block->launch.
void run_block(Block& block);

// The CUDA thread that runs on this operating-system thread.
extern __thread Thread* current __attribute__((tls_model("initial-exec")));

// Ends the launch with a message that names kernel, block, thread and place. Does not return.
[[noreturn]] __attribute__((format(printf, 3, 4))) void fail(Fault fault, Place place, const char* format, ...);
// The same from outside of threads; returns.
void record(Block& block, Fault fault, const std::string& text);
// Gives way to another thread; returns when this one is ready again and its turn has come.
void park();
// Of async.h: what waiting threads lack; what a block that has ended left behind, empty if nothing.
std::string describe_async(const Block& block);
std::string unfinished_async(const Block& block);
// "threads 0-15 wait at sync_warp (kernels/x.cu:12); threads 16-31 have ended"
std::string describe_threads(const Block& block);
std::string describe(Dim3 d);
bool same_line(Site a, Site b);
// The same call; a call that the compiler copied counts once.
inline bool same(Site a, Site b) { return Place(a) == Place(b) || same_line(a, b); }

[[noreturn]] void misaligned(const void* address, int bytes, Site site);

void* shared_static(const void* identity, const char* name, size_t bytes, Site site);
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
// Fails unless `bytes` at `address` lie in one allocation of the device.
void check_global(const void* address, size_t bytes, const char* operation, Place place);

enum class Access { Read, Write, Atomic };
// The checked library's view of memory; null elsewhere. `thread` accesses `bytes` at `address`.
struct Checker {
    void (*access)(Thread& thread, const void* address, size_t bytes, Access access, Place place);
    void (*forget)(const void* address, size_t bytes);  // an allocation that is released
};
extern const Checker* checker;

}  // namespace emulate
