using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void QuantizeRows(Tensor x, Tensor q, Tensor scales)
    {
        (long rows, long width) = OpChecks.QuantizeRows(x, q, scales);
        if (rows == 0) return;
        int threads = ThreadsPerRow(width, x.DType);
        Launch("quantizerows", "quantizerows_f32", RowGrid(rows, threads), RowThreads, 0, [x, q, scales, rows, checked((int)width), threads]);
    }
}
