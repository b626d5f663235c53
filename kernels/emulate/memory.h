// Device memory, which is host memory: filled with NaN when it is handed out, between guard zones that are looked at when it is given back.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string>

namespace emulate {

// Where device memory lies. Addresses are given out once: what is used after its release is found out. The checker keeps its cells behind.
constexpr uintptr_t kDeviceBegin = 0x100000000000, kDeviceEnd = kDeviceBegin + (2ull << 40);

// The address of `bytes` of device memory, aligned to 256; null where the device's memory is used up.
unsigned char* allocate(size_t bytes);
// False where `pointer` was not given by allocate. `damage` says which guard byte was overwritten, if one was.
bool release(void* pointer, std::string& damage);
// Whether `bytes` at `address` lie in one allocation.
bool is_allocated(const void* address, size_t bytes);

size_t memory_total();
size_t memory_used();

}  // namespace emulate
