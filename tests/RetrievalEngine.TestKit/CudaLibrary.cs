using System;
using System.IO;
using System.Runtime.InteropServices;
using RetrievalEngine.Cuda;

namespace RetrievalEngine.TestKit;

/// <summary>
/// The CUDA driver that this process tests: the one that RETRIEVAL_LIBCUDA names, else the machine's where it has a device, else the emulated one of
/// kernels/emulate that <c>./build.sh test</c> leaves in out/emulate. The choice is made once, before the driver's first call, by setting the variables.
/// </summary>
public static unsafe class CudaLibrary
{
    private const string LibraryVariable = "RETRIEVAL_LIBCUDA";

    static CudaLibrary()
    {
        if (Environment.GetEnvironmentVariable(LibraryVariable) is null && !SystemHasDevice() && EmulatedCuda.Folder is not null)
        {
            foreach ((string name, string? value) in EmulatedCuda.Variables())
                Environment.SetEnvironmentVariable(name, Environment.GetEnvironmentVariable(name) ?? value);
        }

        IsEmulated = Environment.GetEnvironmentVariable(LibraryVariable)?.Contains("emulated", StringComparison.Ordinal) == true;
        if (!CudaBackend.TryCreate(0, Compute.DType.F32, out CudaBackend? backend, out string reason)) Missing = reason;
        backend?.Dispose();
    }

    /// <summary>Whether the driver is the emulated one: right answers, slowly.</summary>
    public static bool IsEmulated { get; }

    /// <summary>Why no CUDA backend can be made; null where one can.</summary>
    public static string? Missing { get; }

    /// <summary>The repository's root: the folder above the tests that holds the solution; null when they were carried elsewhere.</summary>
    public static string? Root
    {
        get
        {
            for (DirectoryInfo? d = new(AppContext.BaseDirectory); d is not null; d = d.Parent)
                if (File.Exists(Path.Combine(d.FullName, "RetrievalEngine.sln"))) return d.FullName;
            return null;
        }
    }

    /// <summary>Asked without the program's own binding, which would stay bound to the library that it asked.</summary>
    private static bool SystemHasDevice()
    {
        if (!NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1", out nint library)) return false;
        int count = 0;
        return NativeLibrary.TryGetExport(library, "cuInit", out nint init) && ((delegate* unmanaged<uint, int>)init)(0) == 0
            && NativeLibrary.TryGetExport(library, "cuDeviceGetCount", out nint getCount) && ((delegate* unmanaged<int*, int>)getCount)(&count) == 0
            && count > 0;
    }
}
