using System;
using System.Numerics;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    // As kernels/core/row.cuh has them.
    private const int RowThreads = 256, Warp = 32, HeldChunks = 4;

    /// <summary>Threads of a group that has a row of <paramref name="width"/> elements: as few whole warps, a power of two, as keep it in registers.</summary>
    private static int ThreadsPerRow(long width, DType dtype)
    {
        long chunks = (width * dtype.Size() + PacketBytes - 1) / PacketBytes, threads = (chunks + HeldChunks - 1) / HeldChunks;
        return (int)BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(threads, Warp, RowThreads));
    }

    /// <summary>Blocks in which each of <paramref name="rows"/> rows has a group of <paramref name="threads"/>.</summary>
    private static Grid RowGrid(long rows, int threads) => new((rows + RowThreads / threads - 1) / (RowThreads / threads));

    /// <summary>Blocks of a kernel whose groups go through several rows each and keep sums of a parameter's gradient.</summary>
    private Grid PartialGrid(long rows, int threads) => new(Math.Min(RowGrid(rows, threads).X, 2 * Device.Multiprocessors));

    /// <summary>Room for one row of partial sums for each group of threads of <paramref name="grid"/>; none without a gradient.</summary>
    private Tensor AllocatePartials(Tensor gradient, Grid grid, int threads) =>
        gradient.IsEmpty ? default : Scratch.Allocate(new Shape(grid.X * (RowThreads / threads), gradient.Count));

    /// <summary>gradient += Σ rows of <paramref name="partials"/>; nothing where there is no gradient.</summary>
    private void AddPartials(Tensor partials, Tensor gradient)
    {
        if (gradient.IsEmpty) return;
        Launch("partials", "partials_add", new Grid((gradient.Count + Warp - 1) / Warp), RowThreads, 0,
            [partials, gradient, (int)partials.Shape[0], (int)gradient.Count]);
    }
}
