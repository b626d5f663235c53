// Rows of scores [groups, candidates] F32, each with one right candidate, in float32 with the maximum subtracted:
//   losses[g] = log Σ exp(scores[g]) - scores[g, target];  dscores[g, i] = scale · (softmax(scores[g])[i] - (i = target))
// over the candidates whose excluded [groups, candidates] is 0 (all, where there is none); dscores of the others is 0. dscores may be scores.
// Floor: 8 bytes a score, and one where some are excluded. A group of threads a row; maximum and sum in one pass, the gradient in a second, from cache.
#include "core/row.cuh"

template <int N>
DEVICE void crossentropy(const float* scores, const int* targets, const s8* excluded, float scale, float* losses, float* dscores, int64_t groups,
    int candidates, int threads) {
    SHARED(float, scratch, kRowThreads / kWarp);
    const RowGroup group(threads);
    const int64_t row = (int64_t)blockIdx.x * group.count() + group.group, first = row * candidates;
    const int columns = row < groups ? candidates : 0;
    const auto load = [&](int column) {
        Chunk<float, N> chunk = load_chunk<N>(scores + first + column);
#pragma unroll
        for (int i = 0; i < N; i++)
            if (excluded && excluded[first + column + i] != 0) chunk.values[i] = -kInfinity;
        return chunk;
    };

    // Of this thread: the maximum, and the sum of exp(score - maximum).
    float most = -kInfinity, sum = 0;
    for (int column = group.thread * N; column < columns; column += threads * N) {
        const Chunk<float, N> chunk = load(column);
#pragma unroll
        for (int i = 0; i < N; i++) {
            const float score = chunk.values[i];
            if (score == -kInfinity) continue;
            if (score > most) {
                sum = sum * expf(most - score) + 1.0f;
                most = score;
            } else {
                sum += expf(score - most);
            }
        }
    }
    const float largest = group_max(most, group, scratch);
    const float total = group_sum(sum == 0.0f ? 0.0f : sum * expf(most - largest), group, scratch);

    const int target = row < groups ? targets[row] : -1;
    const float factor = scale / total;
    for (int column = group.thread * N; column < columns; column += threads * N) {
        Chunk<float, N> chunk = load(column);
#pragma unroll
        for (int i = 0; i < N; i++) {
            const bool right = column + i == target;
            // By the thread that will overwrite it.
            if (right) losses[row] = logf(total) + (largest - chunk.values[i]);
            chunk.values[i] = expf(chunk.values[i] - largest) * factor - (right ? scale : 0.0f);
        }
        store_chunk(dscores + first + column, chunk);
    }
}

KERNEL(crossentropy_f32, kRowThreads, 4, const float* scores, const int* targets, const s8* excluded, float scale, float* losses, float* dscores,
    int64_t groups, int candidates, int threads) {
    if (rows_of_chunks<4>(candidates, scores, dscores))
        crossentropy<4>(scores, targets, excluded, scale, losses, dscores, groups, candidates, threads);
    else
        crossentropy<1>(scores, targets, excluded, scale, losses, dscores, groups, candidates, threads);
}
