using System;

namespace RetrievalEngine.Cuda.Driver;

/// <summary>A queue of device work, done in order and independently of other streams.</summary>
internal sealed unsafe class CudaStream : IDisposable
{
    private const uint NonBlocking = 1;

    /// <summary>An empty queue in the current context.</summary>
    public CudaStream()
    {
        nint handle;
        CudaDriver.Check(CudaDriver.StreamCreate(&handle, NonBlocking), "cuStreamCreate");
        Handle = handle;
    }

    /// <summary>The driver's handle.</summary>
    public nint Handle { get; private set; }

    /// <summary>Waits until all of it is done; errors of kernels show here.</summary>
    public void Synchronize() => CudaDriver.Check(CudaDriver.StreamSynchronize(Handle), "cuStreamSynchronize");

    /// <summary>Work added from now on waits for <paramref name="e"/>.</summary>
    public void Wait(CudaEvent e) => CudaDriver.Check(CudaDriver.StreamWaitEvent(Handle, e.Handle, 0), "cuStreamWaitEvent");

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Handle == 0) return;
        _ = CudaDriver.StreamDestroy(Handle);
        Handle = 0;
    }
}
