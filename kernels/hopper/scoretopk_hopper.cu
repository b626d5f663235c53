// scoretopk.cu's sieve for many queries on Hopper: wgmma out of a ring that TMA fills (ring.cuh), as matmul_hopper.cu has it, and candidates in place of results.
//
// A block of three warpgroups goes from one tile of 128 rows × 256 queries to the next. Of the first group one thread fills the ring, and two warps measure the
// rows in it, two rows a lane: |r| of a tile is there when its products are. The other groups multiply, and offer what may be among a query's best.
//
// scoretopk_hopper_<type>: rows f16 or bf16 that begin at multiples of 16 bytes.
#include "../core/candidates.cuh"
#include "../core/product.cuh"
#include "../core/tile.cuh"
#include "ring.cuh"

constexpr int kMeasuringWarps = 2, kRowsALane = kM / (kMeasuringWarps * kWarp);

struct SearchOnHopper {
    TensorMap rows, plane;
    Search search;
    const float *row_scales, *row_terms;  // [count] or null
    uint32_t first_row;
    int32_t count;
};

// Of the rows of a tile, in shared memory: written by the measuring warps when nobody uses them any more, used when they have been measured.
struct Measures {
    float *scales, *lengths, *terms;
    uint64_t *measured, *used;
};
// 198,224 of the 232,448 bytes that a block can have.
constexpr int kSharedBytes = kStages * kStageBytes + 3 * kM * 4 + (2 * kStages + 2) * 8;
static_assert(kSharedBytes <= 227 * 1024, "fits");

// f(first row, first query) for all tiles of this block.
template <class F>
DEVICE void for_each_tile(const SearchOnHopper& arguments, const F& f) {
    const int rows = ceil_div(arguments.count, kM), columns = ceil_div(arguments.search.query_count, kN);
    for (int block = (int)blockIdx.x; block < rows * columns; block += (int)gridDim.x) {
        const TilePosition position(block, rows, columns);
        f(position.row * kM, position.column * kN);
    }
}

template <class T>
DEVICE void measure(const SearchOnHopper& arguments, const Ring& ring, const Measures& measures) {
    const Search& search = arguments.search;
    const int first = (warp_index() - 1) * kWarp + lane_index(), stages = ceil_div(search.width, kK);
    RingPosition position;
    int parity = 1;
    for_each_tile(arguments, [&](int row, int) {
        float squares[kRowsALane] = {};
        for (int t = 0; t < stages; t++) {
            barrier_wait(ring.full + position.stage, position.parity);
            const T* tile = reinterpret_cast<const T*>(ring.stages + position.stage * kStageBytes);
#pragma unroll
            for (int i = 0; i < kRowsALane; i++)
#pragma unroll 2
                for (int chunk = 0; chunk < kK / 8; chunk++) {
                    const Packet<T> packet = load_packet(tile + Tile<T, kM, kK>::offset(first + i * kMeasuringWarps * kWarp, chunk));
#pragma unroll
                    for (int e = 0; e < 8; e++) {
                        const float value = to_float(packet.values[e]);
                        squares[i] = fmaf(value, value, squares[i]);
                    }
                }
            sync_warp();
            if (lane_index() == 0) barrier_arrive(ring.empty + position.stage);
            position.advance();
        }

        barrier_wait(measures.used, parity);
        parity ^= 1;
        float most = 0;
#pragma unroll
        for (int i = 0; i < kRowsALane; i++) {
            const int at = first + i * kMeasuringWarps * kWarp;
            const bool inside = row + at < arguments.count;
            const float scale = arguments.row_scales && inside ? arguments.row_scales[row + at] : 1.0f;
            const float length = row_length(search, squares[i]) * fabsf(scale);
            if (inside) most = most < length || length != length ? length : most;
            measures.scales[at] = scale;
            measures.lengths[at] = length;
            measures.terms[at] = arguments.row_terms && inside ? arguments.row_terms[row + at] : 0.0f;
        }
        note_length(search, most);
        sync_warp();
        if (lane_index() == 0) barrier_arrive(measures.measured);
    });
}

template <class T>
DEVICE void sieve(const SearchOnHopper& arguments, const Ring& ring, const Measures& measures) {
    const Search& search = arguments.search;
    Multiplier<T, false, true> multiplier(ring);
    const int g = lane_index() / 4, t = lane_index() % 4;
    int parity = 0;
    for_each_tile(arguments, [&](int row, int query) {
        float sums[8][4][4];
        multiplier.clear(sums);
        multiplier.add(sums, ceil_div(search.width, kK));

        barrier_wait(measures.measured, parity);
        parity ^= 1;
        float scales[2], lengths[2], terms[2];
        bool counts[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int at = multiplier.warp_row() + half * 8 + g;
            scales[half] = measures.scales[at];
            lengths[half] = measures.lengths[at];
            terms[half] = measures.terms[at];
            counts[half] = row + at < arguments.count && terms[half] == terms[half];
        }
        sync_warp();
        if (lane_index() == 0) barrier_arrive(measures.used);

        const uint32_t number = arguments.first_row + (uint32_t)(row + multiplier.warp_row() + g);
#pragma unroll
        for (int p = 0; p < 8; p++)
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    const int q = query + p * 32 + j * 8 + t * 2 + e;
                    const float scale = search.scales[q], margin = search.margins[q], threshold = search.thresholds[q];
#pragma unroll
                    for (int half = 0; half < 2; half++) {
                        const float bound = sums[p][j][half * 2 + e] * scale * scales[half] + margin * lengths[half] + terms[half];
                        if (!(bound < threshold) && counts[half]) offer(search, q, threshold, bound, number + half * 8);
                    }
                }
    });
}

template <class T>
DEVICE void score_on_hopper(const SearchOnHopper& arguments) {
    SHARED_DYNAMIC(shared);
    float* floats = reinterpret_cast<float*>(shared + kStages * kStageBytes);
    uint64_t* barriers = reinterpret_cast<uint64_t*>(floats + 3 * kM);
    const Ring ring{shared, barriers, barriers + kStages};
    const Measures measures{floats, floats + kM, floats + 2 * kM, barriers + 2 * kStages, barriers + 2 * kStages + 1};
    if (threadIdx.x == 0) {
        ring.init(kConsumerWarps + kMeasuringWarps);
        barrier_init(measures.measured, kMeasuringWarps);
        barrier_init(measures.used, kConsumerWarps);
        barrier_init_fence();
    }
    sync_block();
    if (threadIdx.x < kGroup) {
        registers_release<kProducerRegisters>();
        if (threadIdx.x == 0) {
            RingPosition position;
            for_each_tile(arguments, [&](int row, int query) {
                for (int k = 0; k < arguments.search.width; k += kK)
                    fill_stage<false, true>(ring, position, &arguments.rows, &arguments.plane, row, query, k);
            });
        } else if (warp_index() == 1 || warp_index() == 2) {
            measure<T>(arguments, ring, measures);
        }
    } else {
        registers_take<kConsumerRegisters>();
        sieve<T>(arguments, ring, measures);
    }
}

KERNEL(scoretopk_hopper_f16, kThreads, 1, const GRID_CONSTANT SearchOnHopper arguments) { score_on_hopper<f16>(arguments); }
KERNEL(scoretopk_hopper_bf16, kThreads, 1, const GRID_CONSTANT SearchOnHopper arguments) { score_on_hopper<bf16>(arguments); }
