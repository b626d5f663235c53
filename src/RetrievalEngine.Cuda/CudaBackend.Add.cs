using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void Add(Tensor a, Tensor b, Tensor destination)
    {
        OpChecks.Add(a, b, destination);
        if (a.Count == 0) return;
        Launch("elementwise", $"add_{Suffix(a.DType)}", ElementGrid(a.Count), ElementThreads, 0, [a, b, destination, a.Count, Head(a, b, destination)]);
    }
}
