using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void EmbeddingForward(Tensor table, Tensor ids, float scale, Tensor y, bool accumulate)
    {
        OpChecks.EmbeddingForward(table, ids, y);
        if (y.Count == 0) return;
        int threads = ThreadsPerRow(table.Shape[1], y.DType);
        Launch("embedding", $"embedding_forward_{Suffix(table.DType)}_{Suffix(y.DType)}", RowGrid(ids.Count, threads), RowThreads, 0,
            [table, ids, scale, y, accumulate ? 1 : 0, ids.Count, (int)table.Shape[1], threads]);
    }

    /// <inheritdoc/>
    public void EmbeddingBackward(Tensor dy, Tensor ids, float scale, Tensor dtable)
    {
        OpChecks.EmbeddingBackward(dy, ids, dtable);
        if (dy.Count == 0) return;
        long tokens = ids.Count, width = dtable.Shape[1], length = SortLength(tokens);
        ArenaMark mark = Scratch.Mark();
        Tensor keys = Scratch.Allocate(new Shape(length), DType.I64);
        Launch("embedding", "embedding_keys", new Grid((length + RowThreads - 1) / RowThreads), RowThreads, 0, [ids, keys, tokens, length]);
        SortDescending(keys);
        // A part of a row for each thread's chunk, so that a token that comes often keeps many threads busy.
        int threads = ThreadsPerRow(width, dy.DType);
        long parts = Math.Min(ushort.MaxValue, (width * dy.DType.Size() / PacketBytes + threads - 1) / threads);
        Launch("embedding", $"embedding_backward_{Suffix(dy.DType)}", new Grid(RowGrid(tokens, threads).X, Math.Max(parts, 1)), RowThreads, 0,
            [dy, keys, scale, dtable, tokens, (int)width, threads]);
        Scratch.Release(mark);
    }
}
