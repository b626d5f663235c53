using System;

namespace RetrievalEngine.Cuda.Driver;

/// <summary>The primary context of a device, shared with whatever else in the process uses that device.</summary>
internal sealed unsafe class CudaContext : IDisposable
{
    private readonly int _device;
    private nint _handle;

    /// <summary>Takes a share in the context of device <paramref name="ordinal"/> and makes it current.</summary>
    public CudaContext(int ordinal)
    {
        int device;
        CudaDriver.Check(CudaDriver.DeviceGet(&device, ordinal), "cuDeviceGet");
        nint handle;
        CudaDriver.Check(CudaDriver.DevicePrimaryCtxRetain(&handle, device), "cuDevicePrimaryCtxRetain");
        _device = device;
        _handle = handle;
        MakeCurrent();
    }

    /// <summary>Free and total bytes of the device, other programs' included.</summary>
    public (long Free, long Total) Memory
    {
        get
        {
            MakeCurrent();
            nuint free, total;
            CudaDriver.Check(CudaDriver.MemGetInfo(&free, &total), "cuMemGetInfo");
            return ((long)free, (long)total);
        }
    }

    /// <summary>Makes it the calling thread's context: first in everything, because any thread may call, one at a time.</summary>
    public void MakeCurrent()
    {
        ObjectDisposedException.ThrowIf(_handle == 0, this);
        CudaDriver.Check(CudaDriver.CtxSetCurrent(_handle), "cuCtxSetCurrent");
    }

    /// <summary>Gives the share back.</summary>
    public void Dispose()
    {
        if (_handle == 0) return;
        _handle = 0;
        _ = CudaDriver.DevicePrimaryCtxRelease(_device);
    }
}
