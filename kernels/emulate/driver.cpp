// The part of CUDA's driver API (libcuda) that the program uses, over emulated devices. What a stream was asked for is done when somebody waits for it, the
// latest that CUDA allows: a host that reads results or reuses a pinned buffer too early gets wrong numbers here as well. A fault of a kernel is printed,
// reported once, by the call that waited for it, and then forgotten, so that one test's fault is not the next one's.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include "memory.h"
#include "runtime.h"

using namespace emulate;

typedef int CUresult;
enum : CUresult {
    kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kNotInitialized = 3, kNoDevice = 100, kInvalidDevice = 101, kInvalidContext = 201, kInvalidHandle = 400,
    kNotFound = 500, kNotReady = 600, kIllegalAddress = 700, kOutOfResources = 701, kTimeout = 702, kMisalignedAddress = 716, kLaunchFailed = 719,
};

namespace {

struct Device { const char* name; int major, minor; uint32_t shared_per_block; };
constexpr Device kDevices[] = {{"Emulated GPU (sm_80)", 8, 0, 163 * 1024}};
constexpr int kDeviceCount = sizeof kDevices / sizeof *kDevices;

struct Event {
    uint64_t asked = 0, done = 0;  // records
    struct Stream* stream = nullptr;  // of the last record
    std::chrono::steady_clock::time_point time;
};
struct Stream {
    std::deque<std::function<CUresult()>> work;
};
struct Module { std::string file; };  // empty: all kernels

struct State {
    std::recursive_mutex mutex;
    bool initialized = false;
    int retained[kDeviceCount] = {};
    std::set<Stream*> streams;
    std::map<Event*, std::shared_ptr<Event>> events;
    std::map<uintptr_t, size_t> pinned;
    std::set<Module*> modules;
    uint64_t seed = 0;
    std::string fault_message;
};
State& state() {
    static State* const instance = new State;
    return *instance;
}
thread_local int current_device = -1;

// Does the oldest work of a stream. A fault ends everything that any stream has to do, as it does on a GPU.
CUresult step(Stream& stream) {
    const auto work = std::move(stream.work.front());
    stream.work.pop_front();
    const CUresult result = work();
    if (result) {
        for (Stream* other : state().streams) other->work.clear();
    }
    return result;
}
CUresult drain(Stream& stream) {
    while (!stream.work.empty()) {
        if (const CUresult result = step(stream)) return result;
    }
    return kSuccess;
}
CUresult drain_all() {
    for (Stream* stream : state().streams) {
        if (const CUresult result = drain(*stream)) return result;
    }
    return kSuccess;
}
CUresult complete(Event& event, uint64_t record) {
    while (event.done < record && event.stream && !event.stream->work.empty()) {
        if (const CUresult result = step(*event.stream)) return result;
    }
    return kSuccess;
}

CUresult ready() {
    if (!state().initialized) return kNotInitialized;
    return current_device < 0 || !state().retained[current_device] ? kInvalidContext : kSuccess;
}
bool known(Stream* stream) { return !stream || state().streams.count(stream); }

// The null stream waits for all others.
CUresult enqueue(Stream* stream, std::function<CUresult()> work) {
    if (!stream) {
        const CUresult result = drain_all();
        return result ? result : work();
    }
    stream->work.push_back(std::move(work));
    return stream->work.size() > 10000 ? drain(*stream) : kSuccess;
}

bool is_pinned(const void* pointer) {
    const auto& pinned = state().pinned;
    auto next = pinned.upper_bound(reinterpret_cast<uintptr_t>(pointer));
    return next != pinned.begin() && (--next, reinterpret_cast<uintptr_t>(pointer) - next->first < next->second);
}
unsigned char* device_pointer(uint64_t address) { return reinterpret_cast<unsigned char*>(address); }

CUresult set_bytes(uint64_t to, const void* pattern, size_t pattern_bytes, size_t count, Stream* stream) {
    if (!known(stream)) return kInvalidHandle;
    if (to % pattern_bytes || (count && !is_allocated(device_pointer(to), count * pattern_bytes))) return kInvalidValue;
    uint32_t value = 0;
    memcpy(&value, pattern, pattern_bytes);
    return enqueue(stream, [=] {
        for (size_t i = 0; i < count; i++) memcpy(device_pointer(to) + i * pattern_bytes, &value, pattern_bytes);
        return kSuccess;
    });
}

CUresult report(const std::string& message, CUresult result) {
    fprintf(stderr, "emulator: %s\n", message.c_str());
    state().fault_message = message;
    return result;
}

struct Error { CUresult result; const char *name, *text; };
constexpr Error kErrors[] = {
    {kSuccess, "CUDA_SUCCESS", "no error"},
    {kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {kNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {kNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {kNotReady, "CUDA_ERROR_NOT_READY", "device not ready"},
    {kIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {kOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {kTimeout, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {kMisalignedAddress, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
};
const Error* find_error(CUresult result) {
    for (const Error& error : kErrors) {
        if (error.result == result) return &error;
    }
    return nullptr;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default"))) CUresult
#define LOCK std::lock_guard lock(state().mutex)
#define LOCK_AND_CONTEXT \
    LOCK; \
    if (const CUresult not_ready = ready()) return not_ready

// Library and devices

API cuInit(unsigned flags) {
    LOCK;
    if (flags) return kInvalidValue;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return kNoDevice;
    state().initialized = true;
    return kSuccess;
}
API cuDriverGetVersion(int* version) { return version ? (*version = 12040, kSuccess) : kInvalidValue; }
API cuGetErrorName(CUresult result, const char** name) {
    const Error* error = find_error(result);
    *name = error ? error->name : nullptr;
    return error ? kSuccess : kInvalidValue;
}
// The text of a kernel's fault is followed by what the emulator found.
API cuGetErrorString(CUresult result, const char** text) {
    LOCK;
    const Error* error = find_error(result);
    *text = error ? error->text : nullptr;
    if (error && result >= kIllegalAddress && !state().fault_message.empty()) {
        static thread_local std::string full;
        full = std::string(error->text) + ": " + state().fault_message;
        *text = full.c_str();
    }
    return error ? kSuccess : kInvalidValue;
}
API cuDeviceGetCount(int* count) {
    LOCK;
    if (!state().initialized) return kNotInitialized;
    *count = kDeviceCount;
    return kSuccess;
}
API cuDeviceGet(int* device, int ordinal) {
    LOCK;
    if (!state().initialized) return kNotInitialized;
    if (ordinal < 0 || ordinal >= kDeviceCount) return kInvalidDevice;
    *device = ordinal;
    return kSuccess;
}
API cuDeviceGetName(char* name, int length, int device) {
    if (device < 0 || device >= kDeviceCount) return kInvalidDevice;
    if (length < 1) return kInvalidValue;
    snprintf(name, length, "%s", kDevices[device].name);
    return kSuccess;
}
API cuDeviceTotalMem_v2(size_t* bytes, int device) {
    if (device < 0 || device >= kDeviceCount) return kInvalidDevice;
    *bytes = memory_total();
    return kSuccess;
}
API cuDeviceGetAttribute(int* value, int attribute, int device) {
    if (device < 0 || device >= kDeviceCount) return kInvalidDevice;
    const Device& d = kDevices[device];
    switch (attribute) {
        case 1: *value = kMaxThreads; break;                            // MAX_THREADS_PER_BLOCK
        case 2: case 3: *value = kMaxThreads; break;                    // MAX_BLOCK_DIM_X, Y
        case 4: *value = 64; break;                                     // MAX_BLOCK_DIM_Z
        case 5: *value = 0x7fffffff; break;                             // MAX_GRID_DIM_X
        case 6: case 7: *value = 65535; break;                          // MAX_GRID_DIM_Y, Z
        case 8: *value = 48 * 1024; break;                              // MAX_SHARED_MEMORY_PER_BLOCK
        case 10: *value = kWarpSize; break;                             // WARP_SIZE
        case 12: *value = 65536; break;                                 // MAX_REGISTERS_PER_BLOCK
        case 13: *value = 1000000; break;                               // CLOCK_RATE, kHz
        case 16: *value = 4; break;                                     // MULTIPROCESSOR_COUNT
        case 36: *value = 1000000; break;                               // MEMORY_CLOCK_RATE, kHz
        case 37: *value = 64; break;                                    // GLOBAL_MEMORY_BUS_WIDTH, bits
        case 38: *value = 1 << 20; break;                               // L2_CACHE_SIZE
        case 39: *value = 2048; break;                                  // MAX_THREADS_PER_MULTIPROCESSOR
        case 75: *value = d.major; break;                               // COMPUTE_CAPABILITY_MAJOR
        case 76: *value = d.minor; break;                               // COMPUTE_CAPABILITY_MINOR
        case 81: *value = (int)d.shared_per_block + 1024; break;        // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
        case 97: *value = (int)d.shared_per_block; break;               // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        default: return kInvalidValue;
    }
    return kSuccess;
}

// Contexts: one a device

API cuDevicePrimaryCtxRetain(void** context, int device) {
    LOCK;
    if (!state().initialized) return kNotInitialized;
    if (device < 0 || device >= kDeviceCount) return kInvalidDevice;
    state().retained[device]++;
    *context = &state().retained[device];
    return kSuccess;
}
API cuDevicePrimaryCtxRelease_v2(int device) {
    LOCK;
    if (device < 0 || device >= kDeviceCount) return kInvalidDevice;
    if (!state().retained[device]) return kInvalidContext;
    state().retained[device]--;
    return kSuccess;
}
API cuCtxSetCurrent(void* context) {
    LOCK;
    if (!state().initialized) return kNotInitialized;
    const ptrdiff_t device = static_cast<int*>(context) - state().retained;
    if (context && (device < 0 || device >= kDeviceCount || !state().retained[device])) return kInvalidContext;
    current_device = context ? (int)device : -1;
    return kSuccess;
}
API cuCtxSynchronize() {
    LOCK_AND_CONTEXT;
    return drain_all();
}

// Memory

API cuMemGetInfo_v2(size_t* free, size_t* total) {
    LOCK_AND_CONTEXT;
    *total = memory_total();
    *free = *total - memory_used();
    return kSuccess;
}
API cuMemAlloc_v2(uint64_t* pointer, size_t bytes) {
    LOCK_AND_CONTEXT;
    if (!bytes) return kInvalidValue;
    unsigned char* const address = allocate(bytes);
    *pointer = reinterpret_cast<uint64_t>(address);
    return address ? kSuccess : kOutOfMemory;
}
API cuMemFree_v2(uint64_t pointer) {
    LOCK_AND_CONTEXT;
    if (!pointer) return kSuccess;
    const CUresult result = drain_all();
    std::string damage;
    if (!release(device_pointer(pointer), damage)) return kInvalidValue;
    if (!damage.empty()) return report(damage, kIllegalAddress);
    return result;
}
API cuMemHostAlloc(void** pointer, size_t bytes, unsigned) {
    LOCK_AND_CONTEXT;
    if (!bytes) return kInvalidValue;
    *pointer = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!*pointer) return kOutOfMemory;
    memset(*pointer, 0xff, bytes);
    state().pinned[reinterpret_cast<uintptr_t>(*pointer)] = bytes;
    return kSuccess;
}
API cuMemAllocHost_v2(void** pointer, size_t bytes) { return cuMemHostAlloc(pointer, bytes, 0); }
API cuMemFreeHost(void* pointer) {
    LOCK_AND_CONTEXT;
    const CUresult result = drain_all();
    if (!state().pinned.erase(reinterpret_cast<uintptr_t>(pointer))) return kInvalidValue;
    free(pointer);
    return result;
}
// From pageable memory the bytes are taken before the call returns, as a GPU's driver does; from pinned memory when the copy's turn comes.
API cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, Stream* stream) {
    LOCK_AND_CONTEXT;
    if (!known(stream)) return kInvalidHandle;
    if (bytes && !is_allocated(device_pointer(to), bytes)) return kInvalidValue;
    if (is_pinned(from)) return enqueue(stream, [=] { return memcpy(device_pointer(to), from, bytes), kSuccess; });
    std::vector<unsigned char> staged(static_cast<const unsigned char*>(from), static_cast<const unsigned char*>(from) + bytes);
    return enqueue(stream, [to, staged = std::move(staged)] { return memcpy(device_pointer(to), staged.data(), staged.size()), kSuccess; });
}
API cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, Stream* stream) {
    LOCK_AND_CONTEXT;
    if (!known(stream)) return kInvalidHandle;
    if (bytes && !is_allocated(device_pointer(from), bytes)) return kInvalidValue;
    const CUresult result = enqueue(stream, [=] { return memcpy(to, device_pointer(from), bytes), kSuccess; });
    return result || !stream || is_pinned(to) ? result : drain(*stream);
}
API cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, Stream* stream) {
    LOCK_AND_CONTEXT;
    if (!known(stream)) return kInvalidHandle;
    if (bytes && (!is_allocated(device_pointer(to), bytes) || !is_allocated(device_pointer(from), bytes))) return kInvalidValue;
    return enqueue(stream, [=] { return memmove(device_pointer(to), device_pointer(from), bytes), kSuccess; });
}
API cuMemsetD8Async(uint64_t to, unsigned char value, size_t count, Stream* stream) {
    LOCK_AND_CONTEXT;
    return set_bytes(to, &value, 1, count, stream);
}
API cuMemsetD32Async(uint64_t to, unsigned value, size_t count, Stream* stream) {
    LOCK_AND_CONTEXT;
    return set_bytes(to, &value, 4, count, stream);
}

// Streams and events

API cuStreamCreate(Stream** stream, unsigned) {
    LOCK_AND_CONTEXT;
    state().streams.insert(*stream = new Stream);
    return kSuccess;
}
API cuStreamDestroy_v2(Stream* stream) {
    LOCK_AND_CONTEXT;
    if (!state().streams.count(stream)) return kInvalidHandle;
    const CUresult result = drain(*stream);
    for (auto& [handle, event] : state().events) {
        if (event->stream == stream) event->stream = nullptr;
    }
    state().streams.erase(stream);
    delete stream;
    return result;
}
API cuStreamSynchronize(Stream* stream) {
    LOCK_AND_CONTEXT;
    if (!known(stream)) return kInvalidHandle;
    return stream ? drain(*stream) : drain_all();
}
API cuStreamWaitEvent(Stream* stream, Event* event, unsigned) {
    LOCK_AND_CONTEXT;
    const auto found = state().events.find(event);
    if (!known(stream) || found == state().events.end()) return kInvalidHandle;
    return enqueue(stream, [shared = found->second, record = event->asked] { return complete(*shared, record); });
}
API cuEventCreate(Event** event, unsigned) {
    LOCK_AND_CONTEXT;
    auto created = std::make_shared<Event>();
    *event = created.get();
    state().events[*event] = created;
    return kSuccess;
}
API cuEventDestroy_v2(Event* event) {
    LOCK_AND_CONTEXT;
    return state().events.erase(event) ? kSuccess : kInvalidHandle;
}
API cuEventRecord(Event* event, Stream* stream) {
    LOCK_AND_CONTEXT;
    const auto found = state().events.find(event);
    if (!known(stream) || found == state().events.end()) return kInvalidHandle;
    event->stream = stream;
    return enqueue(stream, [shared = found->second, record = ++event->asked] {
        shared->done = record;
        shared->time = std::chrono::steady_clock::now();
        return kSuccess;
    });
}
API cuEventSynchronize(Event* event) {
    LOCK_AND_CONTEXT;
    return state().events.count(event) ? complete(*event, event->asked) : kInvalidHandle;
}
// Makes one step of progress where there is some to make, so that a loop around it ends.
API cuEventQuery(Event* event) {
    LOCK_AND_CONTEXT;
    if (!state().events.count(event)) return kInvalidHandle;
    if (event->done >= event->asked || !event->stream || event->stream->work.empty()) return kSuccess;
    const CUresult result = step(*event->stream);
    return result ? result : kNotReady;
}
API cuEventElapsedTime(float* milliseconds, Event* start, Event* end) {
    LOCK_AND_CONTEXT;
    if (!state().events.count(start) || !state().events.count(end) || !start->asked || !end->asked) return kInvalidHandle;
    if (start->done < start->asked || end->done < end->asked) return kNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
    return kSuccess;
}

// Code. A module is the stand-in of one kernels/*.cu, the text `EMULATED name`; any other image stands for all of them.

API cuModuleLoadData(Module** module, const void* image) {
    LOCK_AND_CONTEXT;
    if (!image) return kInvalidValue;
    constexpr char kMark[] = "EMULATED ";
    const char* text = static_cast<const char*>(image);
    const bool standin = !strncmp(text, kMark, sizeof kMark - 1);
    *module = new Module{standin ? std::string(text + sizeof kMark - 1, strcspn(text + sizeof kMark - 1, "\n")) : ""};
    state().modules.insert(*module);
    return kSuccess;
}
API cuModuleUnload(Module* module) {
    LOCK_AND_CONTEXT;
    if (!state().modules.erase(module)) return kInvalidHandle;
    const CUresult result = drain_all();
    delete module;
    return result;
}
API cuModuleGetFunction(Kernel** function, Module* module, const char* name) {
    LOCK_AND_CONTEXT;
    if (!state().modules.count(module)) return kInvalidHandle;
    *function = find_kernel(name);
    if (*function && !module->file.empty() && module->file != (*function)->file) *function = nullptr;
    return *function ? kSuccess : kNotFound;
}
API cuFuncSetAttribute(Kernel* function, int attribute, int value) {
    LOCK_AND_CONTEXT;
    constexpr int kMaxDynamicSharedSizeBytes = 8, kPreferredSharedMemoryCarveout = 9;
    if (attribute == kPreferredSharedMemoryCarveout) return kSuccess;
    if (attribute != kMaxDynamicSharedSizeBytes || value < 0 || value > (int)kDevices[current_device].shared_per_block) return kInvalidValue;
    function->max_dynamic_shared = value;
    return kSuccess;
}
API cuFuncGetAttribute(int* value, int attribute, Kernel* function) {
    LOCK_AND_CONTEXT;
    switch (attribute) {
        case 0: *value = function->max_threads; break;         // MAX_THREADS_PER_BLOCK
        case 8: *value = function->max_dynamic_shared; break;  // MAX_DYNAMIC_SHARED_SIZE_BYTES
        default: return kInvalidValue;                         // registers, local memory: only a compiler for GPUs knows
    }
    return kSuccess;
}
API cuLaunchKernel(Kernel* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned threads_x, unsigned threads_y, unsigned threads_z,
                   unsigned dynamic_shared, Stream* stream, void** parameters, void** extra) {
    LOCK_AND_CONTEXT;
    if (!known(stream) || !function) return kInvalidHandle;
    const uint64_t threads = (uint64_t)threads_x * threads_y * threads_z;
    if (extra || !grid_x || !grid_y || !grid_z || grid_x > 0x7fffffff || grid_y > 65535 || grid_z > 65535) return kInvalidValue;
    if (!threads || threads > kMaxThreads || threads_z > 64 || (int)dynamic_shared > function->max_dynamic_shared) return kInvalidValue;
    if (threads > (uint64_t)function->max_threads) return kOutOfResources;
    const auto launch = std::make_shared<Launch>(function, parameters);
    launch->grid = {grid_x, grid_y, grid_z};
    launch->threads = {threads_x, threads_y, threads_z};
    launch->dynamic_shared = dynamic_shared;
    launch->max_shared = kDevices[current_device].shared_per_block;
    return enqueue(stream, [launch] {
        launch->seed = state().seed;
        run(*launch);
        return launch->failed ? report(launch->message, (CUresult)launch->fault) : kSuccess;
    });
}

// For tests: not part of CUDA's driver

// From the next launch on: 0, blocks on all cores, warps and lanes in order; else one core and an order drawn from the seed.
API emulateSetSchedule(uint64_t seed) {
    LOCK;
    const CUresult result = drain_all();
    state().seed = seed;
    return result;
}
// Counters of a kernel since the library was loaded.
API emulateGetCounters(const char* kernel, Counters* counters) {
    LOCK;
    if (const CUresult result = drain_all()) return result;
    const Kernel* found = find_kernel(kernel);
    if (!found) return kNotFound;
    *counters = found->counters;
    return kSuccess;
}
