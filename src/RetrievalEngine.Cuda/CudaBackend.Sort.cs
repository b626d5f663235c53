using System;
using System.Numerics;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    // As kernels/sort.cu has them.
    private const int SortTile = 4096, SortThreads = 1024;

    /// <summary>Room that <see cref="SortDescending"/> can sort, for at least <paramref name="count"/> keys.</summary>
    private static long SortLength(long count) => (long)BitOperations.RoundUpToPowerOf2((ulong)Math.Max(count, SortTile));

    /// <summary>
    /// Sorts each row of <paramref name="keys"/> [segments, length] I64, read as unsigned, the largest first; length is a <see cref="SortLength"/>.
    /// </summary>
    private void SortDescending(Tensor keys)
    {
        long length = keys.Shape.Last, pairs = keys.Count / 2;
        Grid tiles = new(keys.Count / SortTile), blocks = new((pairs + SortThreads - 1) / SortThreads);
        Launch("sort", "sort_tile", tiles, SortThreads, 0, [keys, length, 2L, (long)SortTile]);
        for (long size = 2L * SortTile; size <= length; size *= 2)
        {
            for (long distance = size / 2; distance >= SortTile; distance /= 2)
                Launch("sort", "sort_exchange", blocks, SortThreads, 0, [keys, length, pairs, size, distance]);
            Launch("sort", "sort_tile", tiles, SortThreads, 0, [keys, length, size, size]);
        }
    }
}
