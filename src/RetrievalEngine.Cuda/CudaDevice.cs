using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda;

/// <summary>What the driver says about one GPU.</summary>
/// <param name="Ordinal">Its number: cuda:0 is the first.</param>
/// <param name="Name">Its maker's name.</param>
/// <param name="Major">Compute capability before the point.</param>
/// <param name="Minor">Compute capability behind the point.</param>
/// <param name="TotalBytes">Its memory.</param>
/// <param name="Multiprocessors">How many blocks can run beside each other, at least.</param>
/// <param name="SharedBytesPerBlock">Shared memory that one block may ask for.</param>
/// <param name="DriverVersion">The newest CUDA that the driver knows: 12040 is 12.4.</param>
public sealed unsafe record CudaDevice(
    int Ordinal, string Name, int Major, int Minor, long TotalBytes, int Multiprocessors, int SharedBytesPerBlock, int DriverVersion)
{
    private const int ClockRate = 13, MultiprocessorCount = 16, L2CacheSize = 38, ComputeCapabilityMajor = 75, ComputeCapabilityMinor = 76,
        MaxSharedMemoryPerBlockOptin = 97;

    /// <summary>The highest clock of its multiprocessors.</summary>
    public long ClockHertz { get; init; }

    /// <summary>Size of the cache that all multiprocessors share.</summary>
    public long CacheBytes { get; init; }

    /// <summary>
    /// Operations a second of its tensor cores at that clock, on dense 16-bit matrices with float32 sums: what a multiprocessor does in a clock is from NVIDIA's
    /// architecture papers. Data sheets calculate with a somewhat lower clock, and no chip holds either under load.
    /// </summary>
    public double MatrixFlops => (double)Multiprocessors * ClockHertz * (Major, Minor) switch
    {
        (8, 0) => 2048,
        (9, _) => 4096,
        (10, _) => 8192,
        _ => 1024,
    };

    /// <summary>As compilers call it: <c>sm_80</c>.</summary>
    public string Architecture => $"sm_{Major}{Minor}";

    /// <summary>The newest CUDA that the driver knows: <c>12.4</c>.</summary>
    public string CudaVersion => $"{DriverVersion / 1000}.{DriverVersion % 1000 / 10}";

    /// <summary>Why the kernels cannot run here; null where they can.</summary>
    public string? Unusable =>
        Major < 8 ? $"{this} is too old: the kernels need sm_80 (Ampere) or newer"
        : DriverVersion < 12000 ? $"the driver is too old: it knows CUDA {CudaVersion}, and the kernels need 12.0 (driver 525 or newer)"
        : null;

    /// <summary>The GPUs of this machine; none, with the reason, where there is no driver or no device. Never throws.</summary>
    public static IReadOnlyList<CudaDevice> List(out string reason)
    {
        List<CudaDevice> devices = [];
        try
        {
            int result = CudaDriver.Init(0), count = 0, version = 0;
            if (result == 0) result = CudaDriver.DeviceGetCount(&count);
            if (result == CudaDriver.NoDevice || (result == 0 && count == 0))
            {
                reason = "no CUDA device was found";
                return devices;
            }

            CudaDriver.Check(result, "cuInit");
            CudaDriver.Check(CudaDriver.DriverGetVersion(&version), "cuDriverGetVersion");
            for (int ordinal = 0; ordinal < count; ordinal++) devices.Add(Read(ordinal, version));
            reason = "";
        }
        catch (DllNotFoundException)
        {
            reason = $"the CUDA driver ({CudaDriver.LibraryPath}) {(System.IO.File.Exists(CudaDriver.LibraryPath) ? "cannot be loaded" : "was not found")}";
        }
        catch (BadImageFormatException)
        {
            reason = $"the CUDA driver ({CudaDriver.LibraryPath}) is no library of this kind of machine";
        }
        catch (EntryPointNotFoundException e)
        {
            reason = $"the CUDA driver ({CudaDriver.LibraryPath}) is too old: {e.Message}";
        }
        catch (CudaException e)
        {
            reason = e.Message;
        }

        return devices;
    }

    /// <summary><c>NVIDIA H200 (sm_90)</c>.</summary>
    public override string ToString() => $"{Name} ({Architecture})";

    private static CudaDevice Read(int ordinal, int driverVersion)
    {
        const int MaxName = 256;
        int handle;
        CudaDriver.Check(CudaDriver.DeviceGet(&handle, ordinal), "cuDeviceGet");
        int device = handle;
        byte* name = stackalloc byte[MaxName];
        nuint bytes;
        CudaDriver.Check(CudaDriver.DeviceGetName(name, MaxName, device), "cuDeviceGetName");
        CudaDriver.Check(CudaDriver.DeviceTotalMem(&bytes, device), "cuDeviceTotalMem");
        return new CudaDevice(
            ordinal, Marshal.PtrToStringUTF8((nint)name) ?? "", Attribute(ComputeCapabilityMajor), Attribute(ComputeCapabilityMinor), (long)bytes,
            Attribute(MultiprocessorCount), Attribute(MaxSharedMemoryPerBlockOptin), driverVersion)
        {
            ClockHertz = Attribute(ClockRate) * 1000L,
            CacheBytes = Attribute(L2CacheSize),
        };

        int Attribute(int attribute)
        {
            int value;
            CudaDriver.Check(CudaDriver.DeviceGetAttribute(&value, attribute, device), "cuDeviceGetAttribute");
            return value;
        }
    }
}
