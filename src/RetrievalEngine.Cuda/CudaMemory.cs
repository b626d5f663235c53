using System;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda;

/// <summary>A block of a GPU's memory, aligned to 256 bytes.</summary>
internal sealed unsafe class CudaMemory : DeviceMemory
{
    private readonly CudaContext _context;
    private readonly ulong _pointer;

    /// <summary>Allocates; contents undefined.</summary>
    /// <exception cref="CudaException">The device has not that much; the message has the numbers.</exception>
    public CudaMemory(CudaContext context, long bytes)
        : base(bytes)
    {
        _context = context;
        ulong pointer;
        context.MakeCurrent();
        int result = CudaDriver.MemAlloc(&pointer, (nuint)Math.Max(bytes, 1));
        if (result != 0)
        {
            // It counted itself live; there is nothing to release.
            Dispose();
            (long free, long total) = context.Memory;
            throw new CudaException("cuMemAlloc", result, $"{bytes} bytes were wanted, {free} of {total} are free");
        }

        _pointer = pointer;
    }

    /// <summary>The device address of its first byte.</summary>
    public ulong Pointer => _pointer;

    /// <summary>The device address of the first element; 0 for no tensor.</summary>
    /// <exception cref="InvalidOperationException">The tensor is not in a GPU's memory.</exception>
    public static ulong Address(Tensor tensor)
    {
        if (tensor.IsEmpty) return 0;
        if (tensor.Memory is not CudaMemory memory) throw new InvalidOperationException($"{tensor} is not in a GPU's memory; upload it first");
        ObjectDisposedException.ThrowIf(memory.IsDisposed, memory);
        return memory._pointer + (ulong)tensor.Offset;
    }

    /// <inheritdoc/>
    protected override void Release()
    {
        if (_pointer == 0) return;
        _context.MakeCurrent();
        _ = CudaDriver.MemFree(_pointer);
    }
}
