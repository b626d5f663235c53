using System;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Compute;

/// <summary>
/// Every operation that can happen to a number, forward beside backward. Arguments in the order sources, options, destinations. Letters: T tokens of a packed
/// batch, B sequences, H hidden width, D head_dim, M × N × K of a matrix product, R rank. All tensors are contiguous. "Activations" are F32 on the CPU and F32, F16 or BF16 on
/// a GPU; statistics, scores, losses, gradients of parameters and sums are F32 everywhere. An optional tensor is <c>default</c> when absent.
/// Gradients of parameters are added to (accumulation over micro-batches works by itself); gradients of activations are overwritten unless said.
/// The same inputs give the same bits on every call. Bad shapes throw <see cref="ArgumentException"/> from <see cref="OpChecks"/> before anything is written.
/// One thread at a time calls a backend: who shares one among threads takes turns (a lock, a queue).
/// Calls may return before the device is done; <see cref="Download"/> and <see cref="Synchronize"/> wait.
/// </summary>
public interface IBackend : IDisposable
{
    /// <summary>What runs it, for people: <c>CPU AVX-512, 2 threads</c>.</summary>
    string Name { get; }

    /// <summary>The type in which layers keep activations.</summary>
    DType ActivationDType { get; }

    /// <summary>Bytes that can still be allocated on a device with memory of its own; null on the host, whose memory the system shares out.</summary>
    long? FreeBytes { get; }

    // Memory

    /// <summary>A block of <paramref name="bytes"/> bytes, aligned to at least 64; contents undefined.</summary>
    DeviceMemory Allocate(long bytes);

    /// <summary>Bytes of a mapped file as a weight: on the CPU a view of the mapping itself, on a device a copy.</summary>
    Tensor Load(MappedFile file, long offset, Shape shape, DType dtype);

    /// <summary>Copies host bytes into <paramref name="destination"/>, which has as many.</summary>
    void Upload(ReadOnlySpan<byte> source, Tensor destination);

    /// <summary>Copies <paramref name="source"/> into as many host bytes, after all work on it is done.</summary>
    void Download(Tensor source, Span<byte> destination);

    /// <summary>Copies bytes; same type and count.</summary>
    void Copy(Tensor source, Tensor destination);

    /// <summary>Sets every element of an F32 tensor.</summary>
    void Fill(Tensor destination, float value);

    /// <summary>Waits until everything asked for is done.</summary>
    void Synchronize();

    // Element-wise

    /// <summary>Converts between float types, round to nearest even; same count.</summary>
    void Cast(Tensor source, Tensor destination);

    /// <summary>destination = a + b, element-wise; may alias either.</summary>
    void Add(Tensor a, Tensor b, Tensor destination);

    /// <summary>destination = factor · source; may alias.</summary>
    void Scale(Tensor source, float factor, Tensor destination);

    /// <summary>y = f(x), same shapes.</summary>
    void ActivationForward(Tensor x, Activation activation, Tensor y);

    /// <summary>dx = dy · f'(x); dx may alias dy.</summary>
    void ActivationBackward(Tensor dy, Tensor x, Activation activation, Tensor dx);

    /// <summary>y = f(gate) · up, same shapes (SwiGLU, GeGLU: Shazeer 2020).</summary>
    void GatedActivationForward(Tensor gate, Tensor up, Activation activation, Tensor y);

    /// <summary>dgate = dy · up · f'(gate), dup = dy · f(gate); dgate may alias gate or dy, dup may alias up.</summary>
    void GatedActivationBackward(Tensor dy, Tensor gate, Tensor up, Activation activation, Tensor dgate, Tensor dup);

    // Matrix products

    /// <summary>
    /// c [M, N] = f(alpha · op(a) [M, K] · op(b) [K, N] + bias [N]), or added to c when <paramref name="accumulate"/>. op transposes: with
    /// <paramref name="transA"/> a is [K, M], with <paramref name="transB"/> b is [N, K]. a and c are activations or F32, b any float type. c aliases nothing.
    /// K = 0 gives f(bias).
    /// </summary>
    void MatMul(Tensor a, Tensor b, Tensor c, bool transA = false, bool transB = false, float alpha = 1, bool accumulate = false, Tensor bias = default,
        Activation activation = Activation.None);

    /// <summary>
    /// Linear maps that share their input, each with an optional LoRA adapter (Hu et al. 2021):
    /// s[i] [M, R] = scale · drop(x)·Aᵀ (saved for backward), y[i] [M, N] = f(x·Wᵀ + bias + s[i]·Bᵀ). x is [M, K]. s[i] is none where there is no adapter.
    /// The dropout index of x[m, k] is m·K + k, the same for all projections of the call.
    /// Projections may be slices of rows of one W, bias and B (maps that a checkpoint stores in one matrix) and then share A.
    /// </summary>
    void LoraMatMulForward(Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s, ReadOnlySpan<Tensor> y,
        Activation activation = Activation.None);

    /// <summary>
    /// With ds = scale · dy·B: dB += dyᵀ·s, dA += dsᵀ·drop(x), dW += dyᵀ·x, dBias += Σ rows of dy where asked for, and
    /// dx [M, K] = Σ over projections of dy·W + mask·ds·A / (1 - p), added to dx when <paramref name="accumulate"/>; none where nothing below is trained.
    /// Projections that share A are neighbours and share dA, to which all of them add.
    /// </summary>
    void LoraMatMulBackward(ReadOnlySpan<Tensor> dy, Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s,
        ReadOnlySpan<ProjectionGradient> gradients, Tensor dx, bool accumulate = false);

    // Normalisation

    /// <summary>
    /// y [T, H] = x / √(mean(x²) + eps) · (weight [H] + weightOffset), rstd [T] saved (Zhang, Sennrich 2019; offset 1 for Gemma). With a
    /// <paramref name="residual"/> [T, H], x + residual is written to <paramref name="sum"/> and normalised in place of x; sum may alias either.
    /// </summary>
    void RmsNormForward(Tensor x, Tensor residual, Tensor weight, float weightOffset, float eps, Tensor sum, Tensor y, Tensor rstd);

    /// <summary>dx [T, H] from dy, x as it was normalised (the sum) and rstd; added to dx when <paramref name="accumulate"/>. dweight [H] += when given. dx may alias dy.</summary>
    void RmsNormBackward(Tensor dy, Tensor x, Tensor weight, float weightOffset, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight);

    /// <summary>y = (x - mean) · rstd · weight + bias over the last dimension, mean and rstd [T] saved (Ba et al. 2016); residual, sum as in <see cref="RmsNormForward"/>. bias may be none.</summary>
    void LayerNormForward(Tensor x, Tensor residual, Tensor weight, Tensor bias, float eps, Tensor sum, Tensor y, Tensor mean, Tensor rstd);

    /// <summary>As <see cref="RmsNormBackward"/>, with dbias [H] += when given.</summary>
    void LayerNormBackward(Tensor dy, Tensor x, Tensor weight, Tensor mean, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight, Tensor dbias);

    // Attention

    /// <summary>
    /// Rotates the first 2·R/2 = R elements of every head of x [T, heads, D] in place, R even and at most D: the pair (i, i + R/2) by the angle whose cosine and sine stand in row
    /// positions[t] of <paramref name="cos"/>, <paramref name="sin"/> [P, R/2] F32 (Su et al. 2021, half-split layout). <paramref name="inverse"/> rotates back: the backward pass.
    /// positions [T] I32.
    /// </summary>
    void Rope(Tensor x, Tensor positions, Tensor cos, Tensor sin, bool inverse);

    /// <summary>
    /// o [T, Hq, D] = softmax(logits)·v within each sequence, logits = cap(scale · q·kᵀ) + relativeBias[bucket(j - i), head], over the keys that
    /// <paramref name="options"/> lets the query see; lse [Hq, T] = log Σ exp(logits) saved. q [T, Hq, D], k and v [T, Hkv, D], Hq a multiple of Hkv
    /// (query head h uses key head h / (Hq/Hkv)). cuSeqLens [B+1] I32: sequence b is rows cuSeqLens[b] to cuSeqLens[b+1]; may be empty. relativeBias [buckets, Hq] F32 or
    /// none (T5, Raffel et al. 2020, bidirectional buckets). Any D from 1 to 256. (Dao et al. 2022: no T × T matrix is kept.) <paramref name="offsets"/>, where given, are
    /// cuSeqLens as the host knows them: a device then begins with the longest pieces of work; results are the same bits.
    /// </summary>
    void AttentionForward(Tensor q, Tensor k, Tensor v, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options, Tensor relativeBias, Tensor o, Tensor lse,
        ReadOnlySpan<int> offsets = default);

    /// <summary>dq, dk, dv (overwritten) from do; drelativeBias [buckets, Hq] += when given. dq may not alias.</summary>
    void AttentionBackward(Tensor dO, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options,
        Tensor relativeBias, Tensor dq, Tensor dk, Tensor dv, Tensor drelativeBias, ReadOnlySpan<int> offsets = default);

    // Ends of the network

    /// <summary>y [T, H] = scale · table[ids[t]], added to y when <paramref name="accumulate"/>. table [V, H] any float type, ids [T] I32 in 0 … V - 1 (checked by the caller).</summary>
    void EmbeddingForward(Tensor table, Tensor ids, float scale, Tensor y, bool accumulate);

    /// <summary>dtable [V, H] F32 += scale · dy summed over the tokens with that id, in token order.</summary>
    void EmbeddingBackward(Tensor dy, Tensor ids, float scale, Tensor dtable);

    /// <summary>
    /// y [B, H] F32 = last, first, mean, weighted mean (weights i / (1 + 2 + … + n), i = 1 … n) or element-wise largest row of each sequence of x [T, H]; 0 for an empty sequence.
    /// </summary>
    void PoolForward(Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor y);

    /// <summary>
    /// dx [T, H], overwritten in full, from dy [B, H]. <see cref="Pooling.Max"/> reads <paramref name="x"/> [T, H] again: the first token with the largest value gets the gradient.
    /// </summary>
    void PoolBackward(Tensor dy, Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor dx);

    /// <summary>y = x / max(‖x‖, 1e-12) by rows of [B, H]; norm [B] saved. May be in place.</summary>
    void L2NormalizeForward(Tensor x, Tensor y, Tensor norm);

    /// <summary>dx = (dy - y (y·dy)) / max(norm, 1e-12); may alias dy.</summary>
    void L2NormalizeBackward(Tensor dy, Tensor y, Tensor norm, Tensor dx);

    /// <summary>
    /// losses [G] = -log softmax(scores[g])[targets[g]] over the candidates that <paramref name="excluded"/> [G, N] I8 (none, or non-zero = not a candidate) leaves; dscores [G, N] =
    /// gradient of the mean loss times <paramref name="gradientScale"/>, may alias scores. InfoNCE (van den Oord et al. 2018) with G queries and N passages, or a reranker's groups.
    /// targets [G] I32. Log-sum-exp in float32 with the maximum subtracted.
    /// </summary>
    void CrossEntropy(Tensor scores, Tensor targets, Tensor excluded, float gradientScale, Tensor losses, Tensor dscores);

    // Optimiser

    /// <summary>result [1] F32 = Σ x², summed in a fixed order; added to result when <paramref name="accumulate"/>.</summary>
    void SumOfSquares(Tensor x, Tensor result, bool accumulate);

    /// <summary>One AdamW step on parameter, first and second moment, all F32 of one count. <paramref name="sumOfSquares"/> [1]: the squared norm of all gradients, read on the device for clipping; none without.</summary>
    void AdamWStep(Tensor parameter, Tensor gradient, Tensor m, Tensor v, AdamW options, Tensor sumOfSquares);

    // Search

    /// <summary>q [N, D] I8 = round(x / scale), scale [N] F32 = absmax / 127 of the row (0 rows stay 0 with scale 0). x F32.</summary>
    void QuantizeRows(Tensor x, Tensor q, Tensor scales);

    /// <summary>
    /// Inner products of queries [Q, D] F32 with the first D elements of rows [N, D or more] (F32, F16, which is finite, BF16 or I8), times <paramref name="rowScales"/> [N] F32 (I8 always has them, others may), plus
    /// <paramref name="rowTerms"/> [N] F32 where given, merged into the running best k of each query; a row whose term is NaN is not searched. scores [Q, k] F32 descending,
    /// indices [Q, k] I64 (row number + firstRow); -1 and -∞ where there are fewer. Ties: lower index first. No score matrix is kept. Without <paramref name="merge"/> the
    /// lists start empty; merging shards in any order gives the same lists. A query's scores do not depend on the other queries of the call. Of I8 rows and a query of
    /// <see cref="FixedPoint"/> a CPU adds up the products exactly. A device also takes rows in host memory,
    /// which pass through it a piece at a time (<see cref="MappedFile.View"/>); their rowScales and rowTerms are on the device.
    /// </summary>
    void ScoreTopK(Tensor queries, Tensor rows, Tensor rowScales, Tensor rowTerms, long firstRow, Tensor scores, Tensor indices, bool merge);
}
