#include "tensor.h"
#include <immintrin.h>
#include <string.h>

namespace emulate {

void shuffle_work(void* const* arguments) {
    for (int l = 0; l < kWarpSize; l++) {
        Shuffle& argument = *static_cast<Shuffle*>(arguments[l]);
        argument.result = static_cast<Shuffle*>(arguments[argument.source_lane])->value;
    }
}

void ballot_work(void* const* arguments) {
    uint32_t ballot = 0;
    for (int l = 0; l < kWarpSize; l++) ballot |= *static_cast<uint32_t*>(arguments[l]) << l;
    for (int l = 0; l < kWarpSize; l++) *static_cast<uint32_t*>(arguments[l]) = ballot;
}

// Each matrix is one phase: its eight rows of 16 bytes are read at once where they lie in eight different columns of 16 bytes of the 128 bytes of banks.
static void count_conflicts(void* const* arguments) {
    Counters& counters = current->block->counters;
    for (int matrix = 0; matrix < 4; matrix++) {
        const void* rows[8];
        for (int i = 0; i < 8; i++) rows[i] = static_cast<LoadMatrix*>(arguments[8 * matrix + i])->row;
        int most = 0, column_rows[8] = {};
        for (int i = 0; i < 8; i++) {
            bool again = false;
            for (int j = 0; j < i; j++) again |= rows[i] == rows[j];
            if (!again) most = std::max(most, ++column_rows[reinterpret_cast<uintptr_t>(rows[i]) / 16 % 8]);
        }
        counters.matrix_phases++;
        counters.matrix_conflicts += most - 1;
    }
}

void load_matrix_work(void* const* arguments) {
    count_conflicts(arguments);
    for (int l = 0; l < kWarpSize; l++) {
        for (int i = 0; i < 4; i++) {
            const void* row = static_cast<LoadMatrix*>(arguments[8 * i + l / 4])->row;
            memcpy(&static_cast<LoadMatrix*>(arguments[l])->r[i], static_cast<const uint32_t*>(row) + l % 4, 4);
        }
    }
}

void load_matrix_transposed_work(void* const* arguments) {
    count_conflicts(arguments);
    for (int l = 0; l < kWarpSize; l++) {
        for (int i = 0; i < 4; i++) {
            const int row = 2 * (l % 4), column = l / 4;
            const uint16_t* low = static_cast<const uint16_t*>(static_cast<LoadMatrix*>(arguments[8 * i + row])->row);
            const uint16_t* high = static_cast<const uint16_t*>(static_cast<LoadMatrix*>(arguments[8 * i + row + 1])->row);
            static_cast<LoadMatrix*>(arguments[l])->r[i] = low[column] | (uint32_t)high[column] << 16;
        }
    }
}

// The registers of a warp as matrices of 32-bit words, each of them two or four neighbouring elements of k: a[row][word], b[word][column], d[row][column].
struct Fragments {
    alignas(32) uint32_t a[16][8];
    alignas(32) uint32_t b[8][8];
    alignas(32) uint32_t d[16][8];
};

static void gather(Fragments& f, void* const* arguments) {
    for (int l = 0; l < kWarpSize; l++) {
        const Mma& mma = *static_cast<const Mma*>(arguments[l]);
        const int g = l / 4, t = l % 4;
        for (int i = 0; i < 4; i++) f.a[g + 8 * (i & 1)][t + 4 * (i >> 1)] = mma.a[i];
        f.b[t][g] = mma.b[0];
        f.b[t + 4][g] = mma.b[1];
        memcpy(&f.d[g][2 * t], mma.d, 8);
        memcpy(&f.d[g + 8][2 * t], static_cast<const uint32_t*>(mma.d) + 2, 8);
    }
}

static void scatter(const Fragments& f, void* const* arguments) {
    for (int l = 0; l < kWarpSize; l++) {
        void* d = static_cast<const Mma*>(arguments[l])->d;
        memcpy(d, &f.d[l / 4][l % 4 * 2], 8);
        memcpy(static_cast<uint32_t*>(d) + 2, &f.d[l / 4 + 8][l % 4 * 2], 8);
    }
}

// Eight words as the floats of their lower and of their upper halves.
struct Halves { __m256 low, high; };
static inline Halves widen_bf16(__m256i words) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(words, 16)), _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32((int)0xffff0000)))};
}
static inline Halves widen_f16(__m256i words) {
    const __m256i low = _mm256_and_si256(words, _mm256_set1_epi32(0xffff)), high = _mm256_srli_epi32(words, 16);
    // Packs within 128-bit halves: low 0-3, high 0-3, low 4-7, high 4-7; then in order.
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(packed)), _mm256_cvtph_ps(_mm256_extracti128_si256(packed, 1))};
}

// float32 sums in the order of k, by fused multiply-adds; a tensor core adds in an order and precision of its own.
template <Halves (*Widen)(__m256i)>
static inline void mma_half(void* const* arguments) {
    Fragments f;
    gather(f, arguments);
    alignas(32) float a[2][16][8];
    for (int row = 0; row < 16; row++) {
        const Halves halves = Widen(_mm256_load_si256(reinterpret_cast<const __m256i*>(f.a[row])));
        _mm256_store_ps(a[0][row], halves.low);
        _mm256_store_ps(a[1][row], halves.high);
    }
    for (int first = 0; first < 16; first += 8) {
        __m256 sums[8];
        for (int row = 0; row < 8; row++) sums[row] = _mm256_load_ps(reinterpret_cast<const float*>(f.d[first + row]));
        for (int word = 0; word < 8; word++) {
            const Halves b = Widen(_mm256_load_si256(reinterpret_cast<const __m256i*>(f.b[word])));
            for (int row = 0; row < 8; row++) sums[row] = _mm256_fmadd_ps(_mm256_broadcast_ss(&a[0][first + row][word]), b.low, sums[row]);
            for (int row = 0; row < 8; row++) sums[row] = _mm256_fmadd_ps(_mm256_broadcast_ss(&a[1][first + row][word]), b.high, sums[row]);
        }
        for (int row = 0; row < 8; row++) _mm256_store_ps(reinterpret_cast<float*>(f.d[first + row]), sums[row]);
    }
    scatter(f, arguments);
}

void mma_bf16_work(void* const* arguments) { mma_half<widen_bf16>(arguments); }
void mma_f16_work(void* const* arguments) { mma_half<widen_f16>(arguments); }

// Bytes 0, 2 and bytes 1, 3 of each word as pairs of 16-bit numbers.
static inline __m256i even_bytes(__m256i words) { return _mm256_srai_epi16(_mm256_slli_epi16(words, 8), 8); }
static inline __m256i odd_bytes(__m256i words) { return _mm256_srai_epi16(words, 8); }

void mma_s8_work(void* const* arguments) {
    Fragments f;
    gather(f, arguments);
    for (int row = 0; row < 16; row++) {
        __m256i sum = _mm256_load_si256(reinterpret_cast<const __m256i*>(f.d[row]));
        for (int word = 0; word < 8; word++) {
            const __m256i a = _mm256_set1_epi32((int)f.a[row][word]), b = _mm256_load_si256(reinterpret_cast<const __m256i*>(f.b[word]));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even_bytes(a), even_bytes(b)));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(odd_bytes(a), odd_bytes(b)));
        }
        _mm256_store_si256(reinterpret_cast<__m256i*>(f.d[row]), sum);
    }
    scatter(f, arguments);
}

uint32_t atomic_add(uint32_t* address, uint32_t value, Site site) {
    check_global(address, sizeof *address, "atomic_add", site);
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}

uint64_t atomic_max(uint64_t* address, uint64_t value, Site site) {
    check_global(address, sizeof *address, "atomic_max", site);
    uint64_t old = __atomic_load_n(address, __ATOMIC_RELAXED);
    while (old < value && !__atomic_compare_exchange_n(address, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return old;
}

}  // namespace emulate
