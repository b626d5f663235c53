#include "memory.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <map>
#include "runtime.h"

namespace emulate {

constexpr size_t kGuard = 4096, kPage = 4096;
constexpr unsigned char kGuardByte = 0xa5;
// Larger blocks are not filled: their pages are never touched unless a kernel does.
constexpr size_t kMaxPoisoned = 1ull << 30;

struct Memory {
    std::mutex mutex;
    std::map<uintptr_t, size_t> allocations;  // address → bytes
    uintptr_t next = kDeviceBegin;
    size_t used = 0;
    std::atomic<uint64_t> releases{1};  // ranges that threads remember are valid while this stays the same
};
static Memory& memory() {
    static Memory* const instance = new Memory;
    return *instance;
}

static size_t mapped_bytes(size_t bytes) { return (2 * kGuard + bytes + kPage - 1) / kPage * kPage; }

size_t memory_total() {
    static const size_t total = [] {
        const char* asked = getenv("EMULATE_MEMORY_MIB");
        return (asked ? strtoull(asked, nullptr, 10) : 8192) << 20;
    }();
    return total;
}

size_t memory_used() {
    std::lock_guard lock(memory().mutex);
    return memory().used;
}

unsigned char* allocate(size_t bytes) {
    Memory& m = memory();
    std::lock_guard lock(m.mutex);
    if (bytes > memory_total() - m.used || mapped_bytes(bytes) > kDeviceEnd - m.next) return nullptr;
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void* mapped = mmap(reinterpret_cast<void*>(m.next), mapped_bytes(bytes), PROT_READ | PROT_WRITE, kFlags, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    m.next += mapped_bytes(bytes);
    unsigned char* const address = static_cast<unsigned char*>(mapped) + kGuard;
    memset(mapped, kGuardByte, kGuard);
    if (bytes <= kMaxPoisoned) memset(address, kPoison, bytes);
    memset(address + bytes, kGuardByte, mapped_bytes(bytes) - kGuard - bytes);
    m.allocations[reinterpret_cast<uintptr_t>(address)] = bytes;
    m.used += bytes;
    return address;
}

bool release(void* pointer, std::string& damage) {
    Memory& m = memory();
    std::lock_guard lock(m.mutex);
    const auto found = m.allocations.find(reinterpret_cast<uintptr_t>(pointer));
    if (found == m.allocations.end()) return false;
    const size_t bytes = found->second, mapped = mapped_bytes(bytes);
    unsigned char* const base = static_cast<unsigned char*>(pointer) - kGuard;
    for (size_t i = 0; i < mapped && damage.empty(); i++) {
        if (i == kGuard) i += bytes;
        if (i >= mapped || base[i] == kGuardByte) continue;
        const bool before = i < kGuard;
        damage = "a kernel or copy wrote " + std::to_string(before ? kGuard - i : i - kGuard - bytes) + (before ? " bytes before" : " bytes past the end of") +
                 " an allocation of " + std::to_string(bytes) + " bytes";
    }
    m.allocations.erase(found);
    m.used -= bytes;
    m.releases++;
    munmap(base, mapped);
    if (checker) checker->forget(base, mapped);
    return true;
}

// The allocation that holds `address` or lies before it; allocations.end() where there is none. The mutex is held.
static std::map<uintptr_t, size_t>::iterator at_or_before(uintptr_t address) {
    auto next = memory().allocations.upper_bound(address);
    return next == memory().allocations.begin() ? memory().allocations.end() : --next;
}

bool is_allocated(const void* pointer, size_t bytes) {
    std::lock_guard lock(memory().mutex);
    const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
    const auto found = at_or_before(address);
    return found != memory().allocations.end() && address - found->first <= found->second && bytes <= found->second - (address - found->first);
}

void check_global(const void* pointer, size_t bytes, const char* operation, Place place) {
    // The last ranges that this operating-system thread asked for: the operands of a kernel are few.
    struct Range { uintptr_t begin, end; uint64_t releases; };
    static __thread Range remembered[4] __attribute__((tls_model("initial-exec")));
    static __thread unsigned next __attribute__((tls_model("initial-exec")));
    const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
    Memory& m = memory();
    const uint64_t releases = m.releases.load(std::memory_order_relaxed);
    for (const Range& range : remembered) {
        if (range.begin <= address && address + bytes <= range.end && range.releases == releases) return;
    }
    std::string nearest = "there is none";
    {
        std::lock_guard lock(m.mutex);
        const auto found = at_or_before(address);
        if (found != m.allocations.end()) {
            const Range range{found->first, found->first + found->second, releases};
            if (address + bytes <= range.end) {
                remembered[next++ % 4] = range;
                return;
            }
            nearest = "the one before it has " + std::to_string(found->second) + " bytes and begins " + std::to_string(address - found->first) +
                      " bytes before";
        }
    }
    fail(Fault::IllegalAddress, place, "%s of %zu bytes at %p, which lie in no allocation (%s)", operation, bytes, pointer, nearest.c_str());
}

}  // namespace emulate
