using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void RmsNormForward(Tensor x, Tensor residual, Tensor weight, float weightOffset, float eps, Tensor sum, Tensor y, Tensor rstd)
    {
        (long rows, long width) = OpChecks.RmsNormForward(x, residual, weight, sum, y, rstd);
        if (rows == 0) return;
        int threads = ThreadsPerRow(width, x.DType);
        Launch("rmsnorm", $"rmsnorm_forward_{Suffix(x.DType)}", RowGrid(rows, threads), RowThreads, 0,
            [x, residual, weight, weightOffset, eps, sum, y, rstd, rows, (int)width, threads]);
    }

    /// <inheritdoc/>
    public void RmsNormBackward(Tensor dy, Tensor x, Tensor weight, float weightOffset, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight)
    {
        (long rows, long width) = OpChecks.RmsNormBackward(dy, x, weight, rstd, dx, dweight);
        if (rows == 0) return;
        int threads = ThreadsPerRow(width, x.DType);
        Grid grid = dweight.IsEmpty ? RowGrid(rows, threads) : PartialGrid(rows, threads);
        ArenaMark mark = Scratch.Mark();
        Tensor partials = AllocatePartials(dweight, grid, threads);
        Launch("rmsnorm", $"rmsnorm_backward_{Suffix(x.DType)}", grid, RowThreads, 0,
            [dy, x, weight, weightOffset, rstd, dx, accumulate ? 1 : 0, partials, rows, (int)width, threads]);
        AddPartials(partials, dweight);
        Scratch.Release(mark);
    }
}
