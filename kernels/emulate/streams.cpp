// Memory, copies, streams and events of the stand-in for libcuda. What a stream was asked for is done when somebody waits for it, the latest that CUDA allows:
// a host that reads results or reuses a pinned buffer too early gets wrong numbers here as well.
#include <stdlib.h>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include "driver.h"

using namespace emulate;

struct emulate::Stream {
    std::deque<std::function<CUresult()>> work;
};

namespace {

struct Event {
    uint64_t asked = 0, done = 0;  // records
    Stream* stream = nullptr;      // of the last one
    std::chrono::steady_clock::time_point time;
};

// Guarded by state().mutex.
std::map<Event*, std::shared_ptr<Event>>& events() {
    static auto* const instance = new std::map<Event*, std::shared_ptr<Event>>;
    return *instance;
}
std::map<uintptr_t, size_t>& pinned() {
    static auto* const instance = new std::map<uintptr_t, size_t>;
    return *instance;
}

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
CUresult complete(Event& event, uint64_t record) {
    while (event.done < record && event.stream && !event.stream->work.empty()) {
        if (const CUresult result = step(*event.stream)) return result;
    }
    return kSuccess;
}

bool is_pinned(const void* pointer) {
    auto next = pinned().upper_bound(reinterpret_cast<uintptr_t>(pointer));
    return next != pinned().begin() && (--next, reinterpret_cast<uintptr_t>(pointer) - next->first < next->second);
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

}  // namespace

CUresult emulate::drain_all() {
    for (Stream* stream : state().streams) {
        if (const CUresult result = drain(*stream)) return result;
    }
    return kSuccess;
}
bool emulate::known(Stream* stream) { return !stream || state().streams.count(stream); }

CUresult emulate::enqueue(Stream* stream, std::function<CUresult()> work) {
    if (!stream) {
        const CUresult result = drain_all();
        return result ? result : work();
    }
    stream->work.push_back(std::move(work));
    return stream->work.size() > 10000 ? drain(*stream) : kSuccess;
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
    state().transfers.allocations++;
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
    state().transfers.allocations++;
    *pointer = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!*pointer) return kOutOfMemory;
    memset(*pointer, 0xff, bytes);
    pinned()[reinterpret_cast<uintptr_t>(*pointer)] = bytes;
    return kSuccess;
}
API cuMemAllocHost_v2(void** pointer, size_t bytes) { return cuMemHostAlloc(pointer, bytes, 0); }
API cuMemFreeHost(void* pointer) {
    LOCK_AND_CONTEXT;
    const CUresult result = drain_all();
    if (!pinned().erase(reinterpret_cast<uintptr_t>(pointer))) return kInvalidValue;
    free(pointer);
    return result;
}
// From pageable memory the bytes are taken before the call returns, as a GPU's driver does; from pinned memory when the copy's turn comes.
API cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, Stream* stream) {
    LOCK_AND_CONTEXT;
    if (!known(stream)) return kInvalidHandle;
    if (bytes && !is_allocated(device_pointer(to), bytes)) return kInvalidValue;
    state().transfers.uploads++;
    if (is_pinned(from)) return enqueue(stream, [=] { return memcpy(device_pointer(to), from, bytes), kSuccess; });
    std::vector<unsigned char> staged(static_cast<const unsigned char*>(from), static_cast<const unsigned char*>(from) + bytes);
    return enqueue(stream, [to, staged = std::move(staged)] { return memcpy(device_pointer(to), staged.data(), staged.size()), kSuccess; });
}
API cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, Stream* stream) {
    LOCK_AND_CONTEXT;
    if (!known(stream)) return kInvalidHandle;
    if (bytes && !is_allocated(device_pointer(from), bytes)) return kInvalidValue;
    state().transfers.downloads++;
    const CUresult result = enqueue(stream, [=] { return memcpy(to, device_pointer(from), bytes), kSuccess; });
    return result || !stream || is_pinned(to) ? result : drain(*stream);
}
API cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, Stream* stream) {
    LOCK_AND_CONTEXT;
    if (!known(stream)) return kInvalidHandle;
    if (bytes && (!is_allocated(device_pointer(to), bytes) || !is_allocated(device_pointer(from), bytes))) return kInvalidValue;
    return enqueue(stream, [=] { return memmove(device_pointer(to), device_pointer(from), bytes), kSuccess; });
}
// What was allocated and copied between host and device so far.
API emulateGetTransfers(Transfers* transfers) {
    LOCK;
    *transfers = state().transfers;
    return kSuccess;
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
    for (auto& [handle, event] : events()) {
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
    const auto found = events().find(event);
    if (!known(stream) || found == events().end()) return kInvalidHandle;
    return enqueue(stream, [shared = found->second, record = event->asked] { return complete(*shared, record); });
}
API cuEventCreate(Event** event, unsigned) {
    LOCK_AND_CONTEXT;
    auto created = std::make_shared<Event>();
    *event = created.get();
    events()[*event] = created;
    return kSuccess;
}
API cuEventDestroy_v2(Event* event) {
    LOCK_AND_CONTEXT;
    return events().erase(event) ? kSuccess : kInvalidHandle;
}
API cuEventRecord(Event* event, Stream* stream) {
    LOCK_AND_CONTEXT;
    const auto found = events().find(event);
    if (!known(stream) || found == events().end()) return kInvalidHandle;
    event->stream = stream;
    return enqueue(stream, [shared = found->second, record = ++event->asked] {
        shared->done = record;
        shared->time = std::chrono::steady_clock::now();
        return kSuccess;
    });
}
API cuEventSynchronize(Event* event) {
    LOCK_AND_CONTEXT;
    return events().count(event) ? complete(*event, event->asked) : kInvalidHandle;
}
// Makes one step of progress where there is some to make, so that a loop around it ends.
API cuEventQuery(Event* event) {
    LOCK_AND_CONTEXT;
    if (!events().count(event)) return kInvalidHandle;
    if (event->done >= event->asked || !event->stream || event->stream->work.empty()) return kSuccess;
    const CUresult result = step(*event->stream);
    return result ? result : kNotReady;
}
API cuEventElapsedTime(float* milliseconds, Event* start, Event* end) {
    LOCK_AND_CONTEXT;
    if (!events().count(start) || !events().count(end) || !start->asked || !end->asked) return kInvalidHandle;
    if (start->done < start->asked || end->done < end->asked) return kNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
    return kSuccess;
}
