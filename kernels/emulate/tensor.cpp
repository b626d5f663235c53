#include "tensor.h"
#include <immintrin.h>
#include <string.h>

namespace emulate {

void sync_warp_work(void* const*) { current->warp->epoch++; }

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
static void enter(void* const* arguments) {
    if (checker) {
        for (int l = 0; l < kWarpSize; l++) {
            Thread& thread = current->warp->threads[l];
            checker->access(thread, static_cast<LoadMatrix*>(arguments[l])->row, 16, Access::Read, thread.site);
        }
    }
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
    enter(arguments);
    for (int l = 0; l < kWarpSize; l++) {
        for (int i = 0; i < 4; i++) {
            const void* row = static_cast<LoadMatrix*>(arguments[8 * i + l / 4])->row;
            memcpy(&static_cast<LoadMatrix*>(arguments[l])->r[i], static_cast<const uint32_t*>(row) + l % 4, 4);
        }
    }
}

void load_matrix_transposed_work(void* const* arguments) {
    enter(arguments);
    for (int l = 0; l < kWarpSize; l++) {
        for (int i = 0; i < 4; i++) {
            const int row = 2 * (l % 4), column = l / 4;
            const uint16_t* low = static_cast<const uint16_t*>(static_cast<LoadMatrix*>(arguments[8 * i + row])->row);
            const uint16_t* high = static_cast<const uint16_t*>(static_cast<LoadMatrix*>(arguments[8 * i + row + 1])->row);
            static_cast<LoadMatrix*>(arguments[l])->r[i] = low[column] | (uint32_t)high[column] << 16;
        }
    }
}

// The fragments of a warp as matrices of 32-bit words, each of them two or four neighbouring elements of k. Rows move through registers whole, not word by
// word through memory: this is where an emulated product spends its time.
struct Fragments {
    __m256i a[16];  // [row][word of k]
    __m256i b[8];   // [word of k][column]
    __m256i d[16];  // [row][column]
};

static inline const Mma& of(void* const* arguments, int lane) { return *static_cast<const Mma*>(arguments[lane]); }

static inline __m256i join(__m128i low, __m128i high) { return _mm256_set_m128i(high, low); }
static inline __m128i load_pair(const void* low, const void* high) {
    return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(_mm_loadl_epi64(static_cast<const __m128i*>(low))), static_cast<const __m64*>(high)));
}

static inline void gather(Fragments& f, void* const* arguments) {
    for (int g = 0; g < 8; g++) {
        __m128i lanes[4];
        for (int t = 0; t < 4; t++) lanes[t] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(of(arguments, 4 * g + t).a));
        const __m128i low01 = _mm_unpacklo_epi32(lanes[0], lanes[1]), low23 = _mm_unpacklo_epi32(lanes[2], lanes[3]);
        const __m128i high01 = _mm_unpackhi_epi32(lanes[0], lanes[1]), high23 = _mm_unpackhi_epi32(lanes[2], lanes[3]);
        f.a[g] = join(_mm_unpacklo_epi64(low01, low23), _mm_unpacklo_epi64(high01, high23));
        f.a[g + 8] = join(_mm_unpackhi_epi64(low01, low23), _mm_unpackhi_epi64(high01, high23));

        const char* d[4];
        for (int t = 0; t < 4; t++) d[t] = static_cast<const char*>(of(arguments, 4 * g + t).d);
        f.d[g] = join(load_pair(d[0], d[1]), load_pair(d[2], d[3]));
        f.d[g + 8] = join(load_pair(d[0] + 8, d[1] + 8), load_pair(d[2] + 8, d[3] + 8));
    }
    for (int t = 0; t < 4; t++) {
        uint64_t b[8];
        for (int g = 0; g < 8; g++) memcpy(&b[g], of(arguments, 4 * g + t).b, 8);
        const __m256i first = _mm256_set_epi64x((int64_t)b[3], (int64_t)b[2], (int64_t)b[1], (int64_t)b[0]);
        const __m256i second = _mm256_set_epi64x((int64_t)b[7], (int64_t)b[6], (int64_t)b[5], (int64_t)b[4]);
        const __m256i evens_first = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
        const __m256i x = _mm256_permutevar8x32_epi32(first, evens_first), y = _mm256_permutevar8x32_epi32(second, evens_first);
        f.b[t] = _mm256_permute2x128_si256(x, y, 0x20);
        f.b[t + 4] = _mm256_permute2x128_si256(x, y, 0x31);
    }
}

static inline void scatter_row(__m256i row, void* const* arguments, int g, int offset) {
    const __m128 halves[2] = {_mm_castsi128_ps(_mm256_castsi256_si128(row)), _mm_castsi128_ps(_mm256_extracti128_si256(row, 1))};
    for (int t = 0; t < 4; t++) {
        __m64* const d = reinterpret_cast<__m64*>(static_cast<char*>(of(arguments, 4 * g + t).d) + offset);
        if (t % 2) _mm_storeh_pi(d, halves[t / 2]);
        else _mm_storel_pi(d, halves[t / 2]);
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
        const Halves halves = Widen(f.a[row]);
        _mm256_store_ps(a[0][row], halves.low);
        _mm256_store_ps(a[1][row], halves.high);
    }
    for (int first = 0; first < 16; first += 8) {
        __m256 sums[8];
        for (int row = 0; row < 8; row++) sums[row] = _mm256_castsi256_ps(f.d[first + row]);
        for (int word = 0; word < 8; word++) {
            const Halves b = Widen(f.b[word]);
            for (int row = 0; row < 8; row++) sums[row] = _mm256_fmadd_ps(_mm256_broadcast_ss(&a[0][first + row][word]), b.low, sums[row]);
            for (int row = 0; row < 8; row++) sums[row] = _mm256_fmadd_ps(_mm256_broadcast_ss(&a[1][first + row][word]), b.high, sums[row]);
        }
        for (int row = 0; row < 8; row++) scatter_row(_mm256_castps_si256(sums[row]), arguments, row, first);
    }
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
        alignas(32) uint32_t a[8];
        _mm256_store_si256(reinterpret_cast<__m256i*>(a), f.a[row]);
        __m256i sum = f.d[row];
        for (int word = 0; word < 8; word++) {
            const __m256i one = _mm256_set1_epi32((int)a[word]);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even_bytes(one), even_bytes(f.b[word])));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(odd_bytes(one), odd_bytes(f.b[word])));
        }
        scatter_row(sum, arguments, row % 8, row & 8);
    }
}

static void check_atomic(const void* address, size_t bytes, const char* operation, Site site) {
    const Block& block = *current->block;
    const uintptr_t offset = reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(block.shared);
    if (reinterpret_cast<uintptr_t>(address) % bytes) {
        fail(Fault::MisalignedAddress, site, "%s: address %p is not a multiple of %zu", operation, address, bytes);
    }
    if (offset >= kSharedCapacity) check_global(address, bytes, operation, site);
    if (checker) checker->access(*current, address, bytes, Access::Atomic, site);
}

uint32_t atomic_add(uint32_t* address, uint32_t value, Site site) {
    check_atomic(address, sizeof *address, "atomic_add", site);
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}

uint64_t atomic_max(uint64_t* address, uint64_t value, Site site) {
    check_atomic(address, sizeof *address, "atomic_max", site);
    uint64_t old = __atomic_load_n(address, __ATOMIC_RELAXED);
    while (old < value && !__atomic_compare_exchange_n(address, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return old;
}

}  // namespace emulate
