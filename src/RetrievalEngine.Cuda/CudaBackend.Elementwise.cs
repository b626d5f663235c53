using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    private const int ElementThreads = 256, ElementsPerThread = 8, PacketBytes = 16;

    /// <summary>Blocks for an element-wise kernel on <paramref name="count"/> elements: as many as run at once, which go on until all is done.</summary>
    private Grid ElementGrid(long count)
    {
        const int BlocksPerMultiprocessor = 8;
        long blocks = (count + ElementThreads * ElementsPerThread - 1) / (ElementThreads * ElementsPerThread);
        return new Grid(Math.Min(blocks, (long)Device.Multiprocessors * BlocksPerMultiprocessor));
    }

    /// <summary>How many first elements stand before a 16-byte border of all <paramref name="tensors"/>; all where they have no border in common.</summary>
    private static long Head(params ReadOnlySpan<Tensor> tensors)
    {
        int size = tensors[0].DType.Size();
        long head = (long)(-(long)CudaMemory.Address(tensors[0]) & (PacketBytes - 1)) / size, count = tensors[0].Count;
        foreach (Tensor tensor in tensors)
            if ((CudaMemory.Address(tensor) + (ulong)(head * tensor.DType.Size())) % PacketBytes != 0) return count;
        return Math.Min(head, count);
    }
}
