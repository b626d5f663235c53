using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void LayerNormForward(Tensor x, Tensor residual, Tensor weight, Tensor bias, float eps, Tensor sum, Tensor y, Tensor mean, Tensor rstd)
    {
        (long rows, long width) = OpChecks.LayerNormForward(x, residual, weight, bias, sum, y, mean, rstd);
        if (rows == 0) return;
        int threads = ThreadsPerRow(width, x.DType);
        Launch("layernorm", $"layernorm_forward_{Suffix(x.DType)}", RowGrid(rows, threads), RowThreads, 0,
            [x, residual, weight, bias, eps, sum, y, mean, rstd, rows, (int)width, threads]);
    }

    /// <inheritdoc/>
    public void LayerNormBackward(Tensor dy, Tensor x, Tensor weight, Tensor mean, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight,
        Tensor dbias)
    {
        (long rows, long width) = OpChecks.LayerNormBackward(dy, x, weight, mean, rstd, dx, dweight, dbias);
        if (rows == 0) return;
        int threads = ThreadsPerRow(width, x.DType);
        Grid grid = dweight.IsEmpty && dbias.IsEmpty ? RowGrid(rows, threads) : PartialGrid(rows, threads);
        ArenaMark mark = Scratch.Mark();
        Tensor weightPartials = AllocatePartials(dweight, grid, threads), biasPartials = AllocatePartials(dbias, grid, threads);
        Launch("layernorm", $"layernorm_backward_{Suffix(x.DType)}", grid, RowThreads, 0,
            [dy, x, weight, mean, rstd, dx, accumulate ? 1 : 0, weightPartials, biasPartials, rows, (int)width, threads]);
        AddPartials(weightPartials, dweight);
        AddPartials(biasPartials, dbias);
        Scratch.Release(mark);
    }
}
