// Sorts segments of n 64-bit keys each, n a power of two and at least kTile, the largest first, in place (bitonic: Batcher 1968). Keys that fill a segment up
// are 0, the smallest. Floor: 16 bytes a key for each of the passes over memory: 1 for n = kTile, and log2(size / kTile) + 1 for each larger size up to n.
//   sort_tile      all steps that stay within tiles of kTile keys, for sizes from `first` to `last`
//   sort_exchange  one step of size `size` over a distance of at least kTile
// A step of size s compares keys `distance` apart and leaves the larger in front where the index has not bit s, else behind.
#include "core/warp.cuh"

constexpr int kTile = 4096, kThreads = 1024;

KERNEL(sort_tile, kThreads, 1, uint64_t* keys, int64_t n, int64_t first, int64_t last) {
    SHARED(uint64_t, tile, kTile);
    const int64_t start = (int64_t)blockIdx.x * kTile, index = start & (n - 1);
    for (int i = (int)threadIdx.x; i < kTile; i += kThreads) tile[i] = keys[start + i];
    for (int64_t size = first; size <= last; size *= 2) {
        for (int distance = (int)min_of<int64_t>(size, kTile) / 2; distance > 0; distance /= 2) {
            sync_block();
#pragma unroll
            for (int pair = (int)threadIdx.x; pair < kTile / 2; pair += kThreads) {
                const int low = (pair & ~(distance - 1)) * 2 | (pair & (distance - 1)), high = low + distance;
                const uint64_t a = tile[low], b = tile[high];
                if (((index + low) & size) == 0 ? a < b : a > b) {
                    tile[low] = b;
                    tile[high] = a;
                }
            }
        }
    }
    sync_block();
    for (int i = (int)threadIdx.x; i < kTile; i += kThreads) keys[start + i] = tile[i];
}

KERNEL(sort_exchange, kThreads, 1, uint64_t* keys, int64_t n, int64_t pairs, int64_t size, int64_t distance) {
    const int64_t pair = (int64_t)blockIdx.x * kThreads + threadIdx.x;
    if (pair >= pairs) return;
    const int64_t low = (pair & ~(distance - 1)) * 2 | (pair & (distance - 1)), high = low + distance;
    const uint64_t a = keys[low], b = keys[high];
    if ((low & (n - 1) & size) == 0 ? a < b : a > b) {
        keys[low] = b;
        keys[high] = a;
    }
}
