using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void L2NormalizeForward(Tensor x, Tensor y, Tensor norm)
    {
        (long rows, long width) = OpChecks.L2NormalizeForward(x, y, norm);
        if (rows == 0) return;
        int threads = ThreadsPerRow(width, x.DType);
        Launch("l2normalize", $"l2normalize_forward_{Suffix(x.DType)}", RowGrid(rows, threads), RowThreads, 0,
            [x, y, norm, rows, (int)width, threads]);
    }

    /// <inheritdoc/>
    public void L2NormalizeBackward(Tensor dy, Tensor y, Tensor norm, Tensor dx)
    {
        (long rows, long width) = OpChecks.L2NormalizeBackward(dy, y, norm, dx);
        if (rows == 0) return;
        int threads = ThreadsPerRow(width, y.DType);
        Launch("l2normalize", $"l2normalize_backward_{Suffix(y.DType)}", RowGrid(rows, threads), RowThreads, 0,
            [dy, y, norm, dx, rows, (int)width, threads]);
    }
}
