// What the halves of the stand-in for libcuda share: driver.cpp (library, devices, contexts, code, launches), streams.cpp (memory, copies, streams, events).
#pragma once
#include <stdio.h>
#include <string.h>
#include <functional>
#include <set>
#include "memory.h"
#include "runtime.h"

namespace emulate {

typedef int CUresult;
enum : CUresult {
    kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kNotInitialized = 3, kNoDevice = 100, kInvalidDevice = 101, kInvalidContext = 201,
    kNoBinaryForGpu = 209, kInvalidHandle = 400, kNotFound = 500, kNotReady = 600, kIllegalAddress = 700, kOutOfResources = 701, kTimeout = 702,
    kMisalignedAddress = 716, kLaunchFailed = 719,
};


struct Device { const char* name; int major, minor; uint32_t shared_per_block; };
constexpr Device kDevices[] = {{"Emulated GPU", 8, 0, 163 * 1024}, {"Emulated GPU", 9, 0, 227 * 1024}};
constexpr int kDeviceCount = sizeof kDevices / sizeof *kDevices;

struct Stream;

// Calls since the library was loaded.
struct Transfers { uint64_t allocations, uploads, downloads; };

struct State {
    std::recursive_mutex mutex;
    bool initialized = false;
    int retained[kDeviceCount] = {};
    std::set<Stream*> streams;
    uint64_t seed = 0;
    Transfers transfers = {};
    std::string fault_message;
};
State& state();
extern thread_local int current_device;

// Whether a call that needs a context may go on.
CUresult ready();
// Prints and remembers what the emulator found; returns `result`.
CUresult report(const std::string& message, CUresult result);

// What is done when the stream's turn comes; the null stream's turn is at once, after all others.
CUresult enqueue(Stream* stream, std::function<CUresult()> work);
bool known(Stream* stream);
CUresult drain_all();

}  // namespace emulate

#define API extern "C" __attribute__((visibility("default"))) emulate::CUresult
#define LOCK std::lock_guard lock(emulate::state().mutex)
#define LOCK_AND_CONTEXT \
    LOCK; \
    if (const emulate::CUresult not_ready = emulate::ready()) return not_ready
