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
    public void Rope(Tensor x, Tensor positions, Tensor cos, Tensor sin, bool inverse) => throw Pending(nameof(Rope));

    /// <inheritdoc/>
    public void AttentionForward(Tensor q, Tensor k, Tensor v, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options, Tensor relativeBias,
        Tensor o, Tensor lse) => throw Pending(nameof(AttentionForward));

    /// <inheritdoc/>
    public void AttentionBackward(Tensor dO, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, Tensor cuSeqLens, int maxSeqLen,
        AttentionOptions options, Tensor relativeBias, Tensor dq, Tensor dk, Tensor dv, Tensor drelativeBias) => throw Pending(nameof(AttentionBackward));

    /// <inheritdoc/>
    public void ScoreTopK(Tensor queries, Tensor rows, Tensor rowScales, long firstRow, Tensor scores, Tensor indices, bool merge) =>
        throw Pending(nameof(ScoreTopK));

    private static NotSupportedException Pending(string op) => new($"{op} has no CUDA kernel yet");
}
