using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void PoolForward(Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor y)
    {
        (_, long sequences, long width) = OpChecks.PoolForward(x, cuSeqLens, pooling, y);
        if (y.Count == 0) return;
        Launch("pool", $"pool_forward_{Suffix(x.DType)}", PoolGrid(sequences, width, x.DType), RowThreads, 0,
            [x, cuSeqLens, (int)pooling, y, (int)width]);
    }

    /// <inheritdoc/>
    public void PoolBackward(Tensor dy, Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor dx)
    {
        (_, long sequences, long width) = OpChecks.PoolBackward(dy, x, cuSeqLens, pooling, dx);
        if (dx.Count == 0) return;
        Launch("pool", $"pool_backward_{Suffix(x.DType)}", PoolGrid(sequences, width, x.DType), RowThreads, 0,
            [dy, x, cuSeqLens, (int)pooling, dx, (int)width]);
    }

    /// <summary>A block for a sequence and a chunk of columns for each lane of a warp.</summary>
    private static Grid PoolGrid(long sequences, long width, DType dtype)
    {
        long columns = Warp * PacketBytes / dtype.Size();
        return new Grid(sequences, Math.Min(ushort.MaxValue, (width + columns - 1) / columns));
    }
}
