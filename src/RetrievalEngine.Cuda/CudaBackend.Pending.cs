using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

// Ops whose kernels are being written: each leaves this file when it lands, and the file goes with the last.
public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void ScoreTopK(Tensor queries, Tensor rows, Tensor rowScales, long firstRow, Tensor scores, Tensor indices, bool merge) =>
        throw Pending(nameof(ScoreTopK));

    private static NotSupportedException Pending(string op) => new($"{op} has no CUDA kernel yet");
}
