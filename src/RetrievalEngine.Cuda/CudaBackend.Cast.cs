using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void Cast(Tensor source, Tensor destination)
    {
        OpChecks.Cast(source, destination);
        if (source.Count == 0) return;
        if (source.DType == destination.DType) Copy(source, destination);
        else
            Launch("elementwise", $"cast_{Suffix(source.DType)}_{Suffix(destination.DType)}", ElementGrid(source.Count), ElementThreads, 0,
                [source, destination, source.Count, Head(source, destination)]);
    }
}
