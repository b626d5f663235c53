// Tests of the emulator itself: kernels and what is expected of them, in one file.
#pragma once
#include <stdio.h>
#include <string.h>
#include <string>
#include <vector>
#include "core/warp.cuh"
#include "../memory.h"

// TEST(name) { … }: run by `emulator-tests name`; fails by EXPECT.
struct Test {
    Test(const char* name, void (*run)());
    const char* name;
    void (*run)();
};
#define TEST(name) \
    static void name(); \
    static const Test name##_test(#name, name); \
    static void name()

[[noreturn]] void fail_test(const char* file, int line, const std::string& text);
#define EXPECT(condition) ((condition) ? (void)0 : fail_test(__FILE__, __LINE__, #condition))
#define EXPECT_HAS(text, part) expect_has(text, part, __FILE__, __LINE__)
inline void expect_has(const std::string& text, const std::string& part, const char* file, int line) {
    if (text.find(part) == std::string::npos) fail_test(file, line, "expected \"" + part + "\" in: " + text);
}

// Device memory, which the host can touch as well.
template <class T>
struct Device {
    explicit Device(size_t count) : data(reinterpret_cast<T*>(emulate::allocate(count * sizeof(T)))), count(count) {}
    explicit Device(const std::vector<T>& values) : Device(values.size()) { memcpy(data, values.data(), count * sizeof(T)); }
    Device(const Device&) = delete;
    ~Device() {
        std::string damage;
        emulate::release(data, damage);
    }
    T& operator[](size_t i) { return data[i]; }
    T* const data;
    const size_t count;
};

struct Outcome {
    std::string message;  // empty: no fault
    emulate::Fault fault;
    emulate::Counters counters;
};

struct Shape {
    unsigned blocks, threads;
    unsigned shared = 0;
    uint64_t seed = 0;
};

template <class... Arguments>
Outcome launch(const char* kernel, Shape shape, Arguments... arguments) {
    void* pointers[] = {&arguments..., nullptr};
    emulate::Launch launch(emulate::find_kernel(kernel), pointers);
    launch.grid.x = shape.blocks;
    launch.threads.x = shape.threads;
    launch.dynamic_shared = shape.shared;
    launch.seed = shape.seed;
    emulate::run(launch);
    return {launch.message, launch.fault, launch.counters};
}

// Turns the checker off while it lives, so that a test sees what the plain library finds.
struct Unchecked {
    Unchecked() { std::swap(checker, emulate::checker); }
    ~Unchecked() { std::swap(checker, emulate::checker); }
    const emulate::Checker* checker = nullptr;
};
