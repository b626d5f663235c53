// What cuTensorMapEncodeTiled writes into the 128 bytes of a CUtensorMap here: a matrix in device memory and the box of it that one copy moves.
#pragma once
#include <stdint.h>

namespace emulate {

struct Map {
    static constexpr uint32_t kMagic = 0x50414d45;
    uint32_t magic;
    uint16_t element_bytes, swizzled;  // rows of 128 bytes whose 16-byte chunks are swizzled, or rows as they are
    const unsigned char* base;
    uint64_t columns, rows, row_bytes;  // row_bytes: from row to row
    uint32_t box_columns, box_rows;

    uint32_t box_row_bytes() const { return box_columns * element_bytes; }
    uint32_t box_bytes() const { return box_row_bytes() * box_rows; }
    // The first byte of the part of the box at (column, row) that lies in the matrix, if that byte is not device memory; null otherwise.
    const void* outside(int64_t column, int64_t row) const;
    // Moves the box to shared memory, `offset` bytes from its start; zeros for what lies past the matrix.
    void copy_box(unsigned char* shared, uint32_t offset, int64_t column, int64_t row) const;
};
static_assert(sizeof(Map) <= 128);

}  // namespace emulate
