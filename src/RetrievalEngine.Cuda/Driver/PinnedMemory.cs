using System;

namespace RetrievalEngine.Cuda.Driver;

/// <summary>Host memory that the device reads and writes by itself, so that copies run beside the host's work.</summary>
internal sealed unsafe class PinnedMemory : IDisposable
{
    /// <summary>Allocates in the current context; contents undefined.</summary>
    public PinnedMemory(long bytes)
    {
        void* pointer;
        int result = CudaDriver.MemHostAlloc(&pointer, (nuint)bytes, 0);
        if (result != 0) throw new CudaException("cuMemHostAlloc", result, $"{bytes} bytes of pinned host memory were wanted");
        Pointer = (byte*)pointer;
        Length = bytes;
    }

    /// <summary>The first byte.</summary>
    public byte* Pointer { get; private set; }

    /// <summary>Size in bytes.</summary>
    public long Length { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Pointer is null) return;
        _ = CudaDriver.MemFreeHost(Pointer);
        Pointer = null;
    }
}
