// The part of CUDA's driver API (libcuda) that the program uses, over emulated devices: library, devices, contexts, code and launches. A fault of a kernel is
// printed, reported once, by the call that waited for it, and then forgotten, so that one test's fault is not the next one's.
#include "driver.h"

using namespace emulate;

thread_local int emulate::current_device = -1;

State& emulate::state() {
    static State* const instance = new State;
    return *instance;
}

CUresult emulate::ready() {
    if (!state().initialized) return kNotInitialized;
    return current_device < 0 || !state().retained[current_device] ? kInvalidContext : kSuccess;
}
CUresult emulate::report(const std::string& message, CUresult result) {
    fprintf(stderr, "emulator: %s\n", message.c_str());
    state().fault_message = message;
    return result;
}

namespace {

struct Error { CUresult result; const char *name, *text; };
constexpr Error kErrors[] = {
    {kSuccess, "CUDA_SUCCESS", "no error"},
    {kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {kNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {kNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
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

struct Module {
    std::string file;  // empty: all kernels
};
std::set<Module*>& modules() {
    static auto* const instance = new std::set<Module*>;
    return *instance;
}

}  // namespace

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

// Code. A module is the stand-in of one file of kernels, the text `EMULATED name architecture`; any other image stands for all of them.

API cuModuleLoadData(Module** module, const void* image) {
    LOCK_AND_CONTEXT;
    if (!image) return kInvalidValue;
    char name[64] = "";
    int architecture = 80;
    const char* const text = static_cast<const char*>(image);
    if (!strncmp(text, "EMULATED ", 9) && sscanf(text, "EMULATED %63s sm_%d", name, &architecture) != 2) return kInvalidValue;
    if (architecture > kDevices[current_device].major * 10) return kNoBinaryForGpu;
    *module = new Module{name};
    modules().insert(*module);
    return kSuccess;
}
API cuModuleUnload(Module* module) {
    LOCK_AND_CONTEXT;
    if (!modules().erase(module)) return kInvalidHandle;
    const CUresult result = drain_all();
    delete module;
    return result;
}
API cuModuleGetFunction(Kernel** function, Module* module, const char* name) {
    LOCK_AND_CONTEXT;
    if (!modules().count(module)) return kInvalidHandle;
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
