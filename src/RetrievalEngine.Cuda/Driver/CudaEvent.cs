using System;

namespace RetrievalEngine.Cuda.Driver;

/// <summary>A point in a stream, to wait for or to measure from.</summary>
internal sealed unsafe class CudaEvent : IDisposable
{
    private const uint DisableTiming = 2;

    /// <summary>An event that counts as passed until recorded; with <paramref name="timing"/> it also notes the time.</summary>
    public CudaEvent(bool timing = false)
    {
        nint handle;
        CudaDriver.Check(CudaDriver.EventCreate(&handle, timing ? 0 : DisableTiming), "cuEventCreate");
        Handle = handle;
    }

    /// <summary>The driver's handle.</summary>
    public nint Handle { get; private set; }

    /// <summary>Marks the end of what <paramref name="stream"/> holds now.</summary>
    public void Record(CudaStream stream) => CudaDriver.Check(CudaDriver.EventRecord(Handle, stream.Handle), "cuEventRecord");

    /// <summary>Waits on the host until it has passed.</summary>
    public void Synchronize() => CudaDriver.Check(CudaDriver.EventSynchronize(Handle), "cuEventSynchronize");

    /// <summary>Milliseconds from <paramref name="start"/> to this one, both passed and made with timing.</summary>
    public float MillisecondsSince(CudaEvent start)
    {
        float milliseconds;
        CudaDriver.Check(CudaDriver.EventElapsedTime(&milliseconds, start.Handle, Handle), "cuEventElapsedTime");
        return milliseconds;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Handle == 0) return;
        _ = CudaDriver.EventDestroy(Handle);
        Handle = 0;
    }
}
