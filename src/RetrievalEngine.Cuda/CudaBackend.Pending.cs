using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

// Ops whose kernels are being written: each leaves this file when it lands, and the file goes with the last.
public sealed unsafe partial class CudaBackend
{
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
