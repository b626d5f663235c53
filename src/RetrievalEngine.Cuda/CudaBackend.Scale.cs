using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void Scale(Tensor source, float factor, Tensor destination)
    {
        OpChecks.Scale(source, destination);
        if (source.Count == 0) return;
        Launch("elementwise", $"scale_{Suffix(source.DType)}", ElementGrid(source.Count), ElementThreads, 0,
            [source, factor, destination, source.Count, Head(source, destination)]);
    }
}
