using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void Rope(Tensor x, Tensor positions, Tensor cos, Tensor sin, bool inverse)
    {
        const int Threads = 256, HeadsPerThread = 4;
        (long tokens, long heads, long headDim, long half) = OpChecks.Rope(x, positions, cos, sin);
        if (tokens == 0 || heads == 0 || half == 0) return;
        int packet = PacketBytes / x.DType.Size();
        bool packets = half % packet == 0 && headDim % packet == 0 && Head(x) == 0 && Head(cos) == 0 && Head(sin) == 0;
        long threads = tokens * (packets ? half / packet : half);
        Launch("rope", $"rope_{(packets ? "packets" : "pairs")}_{Suffix(x.DType)}",
            new Grid((threads + Threads - 1) / Threads, (heads + HeadsPerThread - 1) / HeadsPerThread), Threads, 0,
            [x, positions, cos, sin, inverse ? -1f : 1f, tokens, (int)heads, (int)headDim, (int)half]);
    }
}
