using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void SumOfSquares(Tensor x, Tensor result, bool accumulate)
    {
        OpChecks.SumOfSquares(x, result);
        ArenaMark mark = Scratch.Mark();
        // Of the number of elements alone, so that every GPU adds in the same order.
        const int MostBlocks = 1024;
        int blocks = (int)Math.Min(MostBlocks, (x.Count + ElementThreads * ElementsPerThread - 1) / (ElementThreads * ElementsPerThread));
        Tensor partials = Scratch.Allocate(new Shape(blocks));
        if (blocks > 0) Launch("sumofsquares", $"sumofsquares_{Suffix(x.DType)}", new Grid(blocks), ElementThreads, 0, [x, partials, x.Count]);
        Launch("sumofsquares", "sumofsquares_end", new Grid(1), ElementThreads, 0, [partials, result, blocks, accumulate ? 1 : 0]);
        Scratch.Release(mark);
    }
}
