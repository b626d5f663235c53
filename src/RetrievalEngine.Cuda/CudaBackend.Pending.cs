using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

// Ops whose kernels are being written: each leaves this file when it lands, and the file goes with the last.
public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void MatMul(Tensor a, Tensor b, Tensor c, bool transA = false, bool transB = false, float alpha = 1, bool accumulate = false,
        Tensor bias = default, Activation activation = Activation.None) => throw Pending(nameof(MatMul));

    /// <inheritdoc/>
    public void LoraMatMulForward(Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s,
        ReadOnlySpan<Tensor> y, Activation activation = Activation.None) => throw Pending(nameof(LoraMatMulForward));

    /// <inheritdoc/>
    public void LoraMatMulBackward(ReadOnlySpan<Tensor> dy, Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout,
        ReadOnlySpan<Tensor> s, ReadOnlySpan<ProjectionGradient> gradients, Tensor dx, bool accumulate = false) => throw Pending(nameof(LoraMatMulBackward));

    /// <inheritdoc/>
    public void RmsNormForward(Tensor x, Tensor residual, Tensor weight, float weightOffset, float eps, Tensor sum, Tensor y, Tensor rstd) =>
        throw Pending(nameof(RmsNormForward));

    /// <inheritdoc/>
    public void RmsNormBackward(Tensor dy, Tensor x, Tensor weight, float weightOffset, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight) =>
        throw Pending(nameof(RmsNormBackward));

    /// <inheritdoc/>
    public void LayerNormForward(Tensor x, Tensor residual, Tensor weight, Tensor bias, float eps, Tensor sum, Tensor y, Tensor mean,
        Tensor rstd) => throw Pending(nameof(LayerNormForward));

    /// <inheritdoc/>
    public void LayerNormBackward(Tensor dy, Tensor x, Tensor weight, Tensor mean, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight,
        Tensor dbias) => throw Pending(nameof(LayerNormBackward));

    /// <inheritdoc/>
    public void Rope(Tensor x, Tensor positions, Tensor cos, Tensor sin, bool inverse) => throw Pending(nameof(Rope));

    /// <inheritdoc/>
    public void AttentionForward(Tensor q, Tensor k, Tensor v, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options, Tensor relativeBias,
        Tensor o, Tensor lse) => throw Pending(nameof(AttentionForward));

    /// <inheritdoc/>
    public void AttentionBackward(Tensor dO, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, Tensor cuSeqLens, int maxSeqLen,
        AttentionOptions options, Tensor relativeBias, Tensor dq, Tensor dk, Tensor dv, Tensor drelativeBias) => throw Pending(nameof(AttentionBackward));

    /// <inheritdoc/>
    public void EmbeddingForward(Tensor table, Tensor ids, float scale, Tensor y, bool accumulate) => throw Pending(nameof(EmbeddingForward));

    /// <inheritdoc/>
    public void EmbeddingBackward(Tensor dy, Tensor ids, float scale, Tensor dtable) => throw Pending(nameof(EmbeddingBackward));

    /// <inheritdoc/>
    public void PoolForward(Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor y) => throw Pending(nameof(PoolForward));

    /// <inheritdoc/>
    public void PoolBackward(Tensor dy, Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor dx) => throw Pending(nameof(PoolBackward));

    /// <inheritdoc/>
    public void L2NormalizeForward(Tensor x, Tensor y, Tensor norm) => throw Pending(nameof(L2NormalizeForward));

    /// <inheritdoc/>
    public void L2NormalizeBackward(Tensor dy, Tensor y, Tensor norm, Tensor dx) => throw Pending(nameof(L2NormalizeBackward));

    /// <inheritdoc/>
    public void CrossEntropy(Tensor scores, Tensor targets, Tensor excluded, float gradientScale, Tensor losses, Tensor dscores) =>
        throw Pending(nameof(CrossEntropy));

    /// <inheritdoc/>
    public void SumOfSquares(Tensor x, Tensor result, bool accumulate) => throw Pending(nameof(SumOfSquares));

    /// <inheritdoc/>
    public void AdamWStep(Tensor parameter, Tensor gradient, Tensor m, Tensor v, AdamW options, Tensor sumOfSquares) => throw Pending(nameof(AdamWStep));

    /// <inheritdoc/>
    public void QuantizeRows(Tensor x, Tensor q, Tensor scales) => throw Pending(nameof(QuantizeRows));

    /// <inheritdoc/>
    public void ScoreTopK(Tensor queries, Tensor rows, Tensor rowScales, long firstRow, Tensor scores, Tensor indices, bool merge) =>
        throw Pending(nameof(ScoreTopK));

    private static NotSupportedException Pending(string op) => new($"{op} has no CUDA kernel yet");
}
