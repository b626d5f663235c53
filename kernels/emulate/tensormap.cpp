#include "tensormap.h"
#include <string.h>
#include <algorithm>
#include "memory.h"

namespace emulate {

const void* Map::outside(int64_t column, int64_t row) const {
    const int64_t first_row = std::max<int64_t>(row, 0), first_column = std::max<int64_t>(column, 0);
    const int64_t end_row = std::min<int64_t>(row + box_rows, rows), end_column = std::min<int64_t>(column + box_columns, columns);
    if (end_column <= first_column) return nullptr;
    for (int64_t r = first_row; r < end_row; r++) {
        const unsigned char* const begin = base + r * row_bytes + first_column * element_bytes;
        if (!is_allocated(begin, (end_column - first_column) * element_bytes)) return begin;
    }
    return nullptr;
}

void Map::copy_box(unsigned char* shared, uint32_t offset, int64_t column, int64_t row) const {
    for (uint32_t r = 0; r < box_rows; r++) {
        for (uint32_t byte = 0; byte < box_row_bytes(); byte += element_bytes) {
            uint32_t to = r * box_row_bytes() + byte;
            if (swizzled) to = ((offset + to) ^ ((offset + to) >> 7 & 7) << 4) - offset;
            const int64_t x = column + byte / element_bytes, y = row + r;
            if (x >= 0 && y >= 0 && x < (int64_t)columns && y < (int64_t)rows) memcpy(shared + to, base + y * row_bytes + x * element_bytes, element_bytes);
            else memset(shared + to, 0, element_bytes);
        }
    }
}

}  // namespace emulate

// The subset of NVIDIA's function that matrices need: two dimensions, no interleaving, elements one behind the other, no swizzle or that of 128 bytes.
extern "C" __attribute__((visibility("default"))) int cuTensorMapEncodeTiled(
    void* map, int type, uint32_t rank, void* base, const uint64_t* sizes, const uint64_t* strides, const uint32_t* box, const uint32_t* element_strides,
    int interleave, int swizzle, int l2_promotion, int fill) {
    constexpr int kInvalidValue = 1, kNotSupported = 801, kSwizzle128 = 3;
    constexpr uint16_t kElementBytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};  // CU_TENSOR_MAP_DATA_TYPE_UINT8, …
    if (rank != 2 || interleave || fill || (swizzle && swizzle != kSwizzle128)) return kNotSupported;
    if (type < 0 || type >= 13 || l2_promotion < 0 || l2_promotion > 3) return kInvalidValue;
    if (!map || reinterpret_cast<uintptr_t>(map) % 64 || reinterpret_cast<uintptr_t>(base) % 16) return kInvalidValue;
    const uint16_t bytes = kElementBytes[type];
    for (int i = 0; i < 2; i++) {
        if (!sizes[i] || sizes[i] > 1ull << 32 || !box[i] || box[i] > 256 || element_strides[i] != 1) return kInvalidValue;
    }
    if (strides[0] % 16 || strides[0] >= 1ull << 40 || strides[0] < sizes[0] * bytes || box[0] * bytes % 16) return kInvalidValue;
    if (swizzle == kSwizzle128 && box[0] * bytes > 128) return kInvalidValue;
    if (swizzle == kSwizzle128 && box[0] * bytes < 128) return kNotSupported;
    const emulate::Map made{emulate::Map::kMagic, bytes, swizzle == kSwizzle128, static_cast<const unsigned char*>(base), sizes[0], sizes[1],
                            strides[0], box[0], box[1]};
    memset(map, 0, 128);
    memcpy(map, &made, sizeof made);
    return 0;
}
