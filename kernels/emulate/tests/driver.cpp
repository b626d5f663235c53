// What the stand-in for libcuda promises, through its C entry points.
#include "test.h"

extern "C" {
int cuInit(unsigned);
int cuDeviceGetCount(int*);
int cuDeviceGetAttribute(int*, int, int);
int cuDevicePrimaryCtxRetain(void**, int);
int cuDevicePrimaryCtxRelease_v2(int);
int cuCtxSetCurrent(void*);
int cuCtxSynchronize();
int cuMemGetInfo_v2(size_t*, size_t*);
int cuMemAlloc_v2(uint64_t*, size_t);
int cuMemFree_v2(uint64_t);
int cuMemHostAlloc(void**, size_t, unsigned);
int cuMemFreeHost(void*);
int cuMemcpyHtoDAsync_v2(uint64_t, const void*, size_t, void*);
int cuMemcpyDtoHAsync_v2(void*, uint64_t, size_t, void*);
int cuMemcpyDtoDAsync_v2(uint64_t, uint64_t, size_t, void*);
int cuMemsetD8Async(uint64_t, unsigned char, size_t, void*);
int cuMemsetD32Async(uint64_t, unsigned, size_t, void*);
int cuStreamCreate(void**, unsigned);
int cuStreamDestroy_v2(void*);
int cuStreamSynchronize(void*);
int cuStreamWaitEvent(void*, void*, unsigned);
int cuEventCreate(void**, unsigned);
int cuEventDestroy_v2(void*);
int cuEventRecord(void*, void*);
int cuEventSynchronize(void*);
int cuEventQuery(void*);
int cuEventElapsedTime(float*, void*, void*);
int cuModuleLoadData(void**, const void*);
int cuModuleUnload(void*);
int cuModuleGetFunction(void**, void*, const char*);
int cuFuncSetAttribute(void*, int, int);
int cuLaunchKernel(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
int cuGetErrorString(int, const char**);
int emulateSetSchedule(uint64_t);
int emulateGetCounters(const char*, emulate::Counters*);
}

namespace {

constexpr int kInvalidValue = 1, kOutOfMemory = 2, kNotInitialized = 3, kInvalidContext = 201, kInvalidHandle = 400, kNotFound = 500, kNotReady = 600,
              kIllegalAddress = 700, kOutOfResources = 701;

KERNEL(driver_add, 64, 1, float* x, float value) { x[threadIdx.x] += value; }
KERNEL(driver_dynamic, 64, 1, float* x) {
    SHARED_DYNAMIC(bytes);
    float* const shared = reinterpret_cast<float*>(bytes);
    shared[threadIdx.x] = x[threadIdx.x];
    sync_block();
    x[threadIdx.x] = shared[63 - threadIdx.x];
}

// A context, a stream, memory of 64 floats in the device and pinned in the host.
struct Session {
    Session() {
        void* context;
        EXPECT(cuInit(0) == 0 && cuDevicePrimaryCtxRetain(&context, 0) == 0 && cuCtxSetCurrent(context) == 0);
        EXPECT(cuStreamCreate(&stream, 1) == 0 && cuMemAlloc_v2(&device, kBytes) == 0 && cuModuleLoadData(&module, "EMULATED driver sm_80\n") == 0);
        void* memory;
        EXPECT(cuMemHostAlloc(&memory, kBytes, 0) == 0);
        pinned = static_cast<float*>(memory);
    }
    int add(void* on, float value, uint64_t to) {
        void* function;
        EXPECT(cuModuleGetFunction(&function, module, "driver_add") == 0);
        void* parameters[] = {&to, &value};
        return cuLaunchKernel(function, 1, 1, 1, 64, 1, 1, 0, on, parameters, nullptr);
    }
    int fill(float value, void* on) {
        unsigned bits;
        memcpy(&bits, &value, 4);
        return cuMemsetD32Async(device, bits, 64, on);
    }
    float first() {
        float values[64];
        EXPECT(cuMemcpyDtoHAsync_v2(values, device, kBytes, stream) == 0);
        return values[0];
    }
    static constexpr size_t kBytes = 256;
    void *stream, *module;
    uint64_t device;
    float* pinned;
};

TEST(driver_wants_init_and_context) {
    uint64_t pointer;
    int count;
    EXPECT(cuDeviceGetCount(&count) == kNotInitialized && cuMemAlloc_v2(&pointer, 4) == kNotInitialized);
    EXPECT(cuInit(0) == 0 && cuDeviceGetCount(&count) == 0 && count >= 1);
    EXPECT(cuMemAlloc_v2(&pointer, 4) == kInvalidContext);
    void* context;
    EXPECT(cuDevicePrimaryCtxRetain(&context, 0) == 0 && cuMemAlloc_v2(&pointer, 4) == kInvalidContext);
    EXPECT(cuCtxSetCurrent(context) == 0 && cuMemAlloc_v2(&pointer, 4) == 0);
    EXPECT(cuDevicePrimaryCtxRelease_v2(0) == 0 && cuMemFree_v2(pointer) == kInvalidContext);
}

TEST(driver_streams_are_in_order_and_late) {
    Session s;
    s.pinned[0] = 7;
    EXPECT(s.fill(1, s.stream) == 0 && s.add(s.stream, 2, s.device) == 0);
    EXPECT(cuMemcpyDtoHAsync_v2(s.pinned, s.device, 256, s.stream) == 0);
    EXPECT(s.pinned[0] == 7);  // nobody has waited
    EXPECT(cuStreamSynchronize(s.stream) == 0 && s.pinned[0] == 3);
    // A pinned buffer that is written again too early; a pageable one is the caller's at once.
    for (int i = 0; i < 64; i++) s.pinned[i] = 5;
    EXPECT(cuMemcpyHtoDAsync_v2(s.device, s.pinned, 256, s.stream) == 0);
    s.pinned[0] = 6;
    EXPECT(s.first() == 6);
    std::vector<float> pageable(64, 8.0f);
    EXPECT(cuMemcpyHtoDAsync_v2(s.device, pageable.data(), 256, s.stream) == 0);
    pageable[0] = 9;
    EXPECT(s.first() == 8);
}

TEST(driver_events_order_streams) {
    Session s;
    void *other, *event, *end;
    EXPECT(cuStreamCreate(&other, 1) == 0 && cuEventCreate(&event, 0) == 0 && cuEventCreate(&end, 0) == 0);
    EXPECT(s.fill(1, s.stream) == 0 && cuStreamSynchronize(s.stream) == 0);
    // Without an event the other stream comes whenever it is waited for.
    EXPECT(s.add(other, 10, s.device) == 0 && s.first() == 1 && cuStreamSynchronize(other) == 0 && s.first() == 11);
    EXPECT(s.add(other, 10, s.device) == 0 && cuEventRecord(event, other) == 0 && s.add(other, 100, s.device) == 0);
    EXPECT(cuStreamWaitEvent(s.stream, event, 0) == 0 && s.first() == 21);
    EXPECT(cuEventQuery(event) == 0 && cuEventRecord(end, other) == 0);
    float milliseconds;
    EXPECT(cuEventElapsedTime(&milliseconds, event, end) == kNotReady && cuEventQuery(end) == kNotReady);
    while (const int result = cuEventQuery(end)) EXPECT(result == kNotReady);
    EXPECT(cuEventElapsedTime(&milliseconds, event, end) == 0 && milliseconds >= 0 && s.first() == 121);
    EXPECT(cuEventDestroy_v2(event) == 0 && cuEventRecord(event, other) == kInvalidHandle);
    EXPECT(cuStreamDestroy_v2(other) == 0 && cuStreamSynchronize(other) == kInvalidHandle);
}

TEST(driver_reports_a_fault_once_and_goes_on) {
    Session s;
    void* other;
    EXPECT(cuStreamCreate(&other, 1) == 0 && s.fill(1, s.stream) == 0);
    EXPECT(s.add(s.stream, 1, s.device + 4) == 0);     // one float too far
    EXPECT(s.add(s.stream, 1, s.device) == 0 && s.add(other, 1, s.device) == 0);  // never run
    EXPECT(cuStreamSynchronize(s.stream) == kIllegalAddress);
    const char* text;
    EXPECT(cuGetErrorString(kIllegalAddress, &text) == 0);
    EXPECT_HAS(text, "an illegal memory access was encountered: kernel driver_add, block (0,0,0), thread (63,0,0): read of 4 bytes at ");
    EXPECT(cuCtxSynchronize() == 0 && s.first() == 1);
}

TEST(driver_checks_launches) {
    Session s;
    void* function;
    uint64_t x = s.device;
    void* parameters[] = {&x};
    EXPECT(cuModuleGetFunction(&function, s.module, "driver_dynamic") == 0 && s.fill(4, s.stream) == 0);
    auto launch = [&](unsigned grid_y, unsigned threads, unsigned shared) {
        return cuLaunchKernel(function, 1, grid_y, 1, threads, 1, 1, shared, s.stream, parameters, nullptr);
    };
    EXPECT(launch(1, 64, 256) == 0 && s.first() == 4);
    EXPECT(launch(0, 64, 256) == kInvalidValue && launch(65536, 64, 256) == kInvalidValue && launch(1, 0, 256) == kInvalidValue);
    EXPECT(launch(1, 2048, 256) == kInvalidValue && launch(1, 96, 512) == kOutOfResources);
    EXPECT(launch(1, 64, 48 * 1024 + 1) == kInvalidValue);
    EXPECT(cuFuncSetAttribute(function, 8, 163 * 1024 + 1) == kInvalidValue && cuFuncSetAttribute(function, 8, 163 * 1024) == 0);
    EXPECT(launch(1, 64, 163 * 1024) == 0 && s.first() == 4);
    EXPECT(launch(1, 64, 128) == 0 && cuCtxSynchronize() == kIllegalAddress);  // less shared memory than the kernel uses
}

TEST(driver_modules_hold_their_own_kernels) {
    Session s;
    void *other, *all, *function;
    EXPECT(cuModuleLoadData(&other, "EMULATED planted sm_80\n") == 0 && cuModuleLoadData(&all, "\x50\xed\x55\xba") == 0);
    EXPECT(cuModuleGetFunction(&function, s.module, "driver_add") == 0 && cuModuleGetFunction(&function, s.module, "sum_good") == kNotFound);
    EXPECT(cuModuleGetFunction(&function, other, "driver_add") == kNotFound && cuModuleGetFunction(&function, other, "sum_good") == 0);
    EXPECT(cuModuleGetFunction(&function, all, "driver_add") == 0 && cuModuleGetFunction(&function, all, "absent") == kNotFound);
    EXPECT(cuModuleUnload(other) == 0 && cuModuleGetFunction(&function, other, "sum_good") == kInvalidHandle);
}

TEST(driver_memory) {
    Session s;
    uint64_t pointer, large;
    size_t free, total;
    EXPECT(cuMemAlloc_v2(&pointer, 1000) == 0 && pointer % 256 == 0 && cuMemAlloc_v2(&large, 0) == kInvalidValue);
    EXPECT(cuMemGetInfo_v2(&free, &total) == 0 && free == total - 1000 - 256 && cuMemAlloc_v2(&large, free + 1) == kOutOfMemory);
    float values[250];
    EXPECT(cuMemcpyDtoHAsync_v2(values, pointer, 1000, s.stream) == 0 && values[0] != values[0] && values[249] != values[249]);
    EXPECT(cuMemcpyDtoHAsync_v2(values, pointer + 4, 1000, s.stream) == kInvalidValue && cuMemsetD8Async(pointer, 1, 1001, s.stream) == kInvalidValue);
    EXPECT(cuMemcpyDtoDAsync_v2(pointer, s.device, 257, s.stream) == kInvalidValue && cuMemsetD32Async(pointer + 2, 0, 1, s.stream) == kInvalidValue);
    EXPECT(cuMemsetD8Async(pointer, 0, 1000, s.stream) == 0 && cuMemcpyDtoHAsync_v2(values, pointer, 1000, s.stream) == 0 && values[249] == 0);
    reinterpret_cast<char*>(pointer)[-1] = 0;
    EXPECT(cuMemFree_v2(pointer) == kIllegalAddress && cuMemFree_v2(pointer) == kInvalidValue && cuMemFree_v2(0) == 0);
    const char* text;
    EXPECT(cuGetErrorString(kIllegalAddress, &text) == 0);
    EXPECT_HAS(text, "a kernel or copy wrote 1 bytes before an allocation of 1000 bytes");
    EXPECT(cuMemFreeHost(s.pinned) == 0 && cuMemFreeHost(s.pinned) == kInvalidValue);
}

TEST(driver_counts_and_schedules) {
    Session s;
    emulate::Counters counters;
    EXPECT(s.fill(0, s.stream) == 0);
    for (uint64_t seed = 0; seed < 3; seed++) EXPECT(emulateSetSchedule(seed) == 0 && s.add(s.stream, 1, s.device) == 0);
    EXPECT(emulateGetCounters("driver_add", &counters) == 0 && counters.launches == 3 && s.first() == 3);
    EXPECT(emulateGetCounters("absent", &counters) == kNotFound);
}

}  // namespace
