using System;
using System.Runtime.InteropServices;

namespace RetrievalEngine.Cuda.Driver;

/// <summary>
/// The entry points of NVIDIA's driver library that this program uses, by their names without the prefix <c>cu</c>. The library is found at run time: the file
/// that <see cref="LibraryVariable"/> names (the emulated driver of kernels/emulate, for one), else the system's libcuda.so.1 or nvcuda.dll.
/// Every call gives a CUresult, 0 for success; <see cref="Check"/> turns the others into <see cref="CudaException"/>.
/// </summary>
internal static unsafe partial class CudaDriver
{
    /// <summary>The environment variable with the path of another driver library.</summary>
    public const string LibraryVariable = "RETRIEVAL_LIBCUDA";

    /// <summary>CUDA_ERROR_OUT_OF_MEMORY.</summary>
    public const int OutOfMemory = 2;

    /// <summary>CUDA_ERROR_NO_DEVICE.</summary>
    public const int NoDevice = 100;

    /// <summary>CUDA_ERROR_NO_BINARY_FOR_GPU.</summary>
    public const int NoBinaryForGpu = 209;

    /// <summary>CUDA_ERROR_UNSUPPORTED_PTX_VERSION.</summary>
    public const int UnsupportedPtxVersion = 222;

    /// <summary>CUDA_ERROR_NOT_FOUND.</summary>
    public const int NotFound = 500;

    private const string Library = "cuda";

    static CudaDriver() => NativeLibrary.SetDllImportResolver(
        typeof(CudaDriver).Assembly, (name, _, _) => name == Library ? NativeLibrary.Load(LibraryPath) : 0);

    /// <summary>What is loaded: a path, or a name for the system's search.</summary>
    public static string LibraryPath =>
        Environment.GetEnvironmentVariable(LibraryVariable) is { Length: > 0 } path ? path : OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";

    /// <summary>Throws where <paramref name="result"/> is an error of <paramref name="call"/>.</summary>
    public static void Check(int result, string call)
    {
        if (result != 0) throw new CudaException(call, result);
    }

    /// <summary>The driver's name and sentence for an error: <c>CUDA_ERROR_OUT_OF_MEMORY</c>, <c>out of memory</c>.</summary>
    public static (string Name, string Text) Describe(int result)
    {
        byte* name = null, text = null;
        if (GetErrorName(result, &name) != 0 || GetErrorString(result, &text) != 0) return ($"CUDA error {result}", "unknown to the driver");
        return (Marshal.PtrToStringUTF8((nint)name) ?? "", Marshal.PtrToStringUTF8((nint)text) ?? "");
    }

    // Library and devices

    [LibraryImport(Library, EntryPoint = "cuInit")]
    public static partial int Init(uint flags);

    [LibraryImport(Library, EntryPoint = "cuDriverGetVersion")]
    public static partial int DriverGetVersion(int* version);

    [LibraryImport(Library, EntryPoint = "cuGetErrorName")]
    public static partial int GetErrorName(int error, byte** name);

    [LibraryImport(Library, EntryPoint = "cuGetErrorString")]
    public static partial int GetErrorString(int error, byte** text);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetCount")]
    public static partial int DeviceGetCount(int* count);

    [LibraryImport(Library, EntryPoint = "cuDeviceGet")]
    public static partial int DeviceGet(int* device, int ordinal);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetName")]
    public static partial int DeviceGetName(byte* name, int length, int device);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetAttribute")]
    public static partial int DeviceGetAttribute(int* value, int attribute, int device);

    [LibraryImport(Library, EntryPoint = "cuDeviceTotalMem_v2")]
    public static partial int DeviceTotalMem(nuint* bytes, int device);

    // Context

    [LibraryImport(Library, EntryPoint = "cuDevicePrimaryCtxRetain")]
    public static partial int DevicePrimaryCtxRetain(nint* context, int device);

    [LibraryImport(Library, EntryPoint = "cuDevicePrimaryCtxRelease_v2")]
    public static partial int DevicePrimaryCtxRelease(int device);

    [LibraryImport(Library, EntryPoint = "cuCtxSetCurrent")]
    public static partial int CtxSetCurrent(nint context);

    // Memory

    [LibraryImport(Library, EntryPoint = "cuMemGetInfo_v2")]
    public static partial int MemGetInfo(nuint* free, nuint* total);

    [LibraryImport(Library, EntryPoint = "cuMemAlloc_v2")]
    public static partial int MemAlloc(ulong* pointer, nuint bytes);

    [LibraryImport(Library, EntryPoint = "cuMemFree_v2")]
    public static partial int MemFree(ulong pointer);

    [LibraryImport(Library, EntryPoint = "cuMemHostAlloc")]
    public static partial int MemHostAlloc(void** pointer, nuint bytes, uint flags);

    [LibraryImport(Library, EntryPoint = "cuMemFreeHost")]
    public static partial int MemFreeHost(void* pointer);

    [LibraryImport(Library, EntryPoint = "cuMemcpyHtoDAsync_v2")]
    public static partial int MemcpyHtoDAsync(ulong destination, void* source, nuint bytes, nint stream);

    [LibraryImport(Library, EntryPoint = "cuMemcpyDtoHAsync_v2")]
    public static partial int MemcpyDtoHAsync(void* destination, ulong source, nuint bytes, nint stream);

    [LibraryImport(Library, EntryPoint = "cuMemcpyDtoDAsync_v2")]
    public static partial int MemcpyDtoDAsync(ulong destination, ulong source, nuint bytes, nint stream);

    [LibraryImport(Library, EntryPoint = "cuMemsetD32Async")]
    public static partial int MemsetD32Async(ulong destination, uint value, nuint count, nint stream);

    // Streams and events

    [LibraryImport(Library, EntryPoint = "cuStreamCreate")]
    public static partial int StreamCreate(nint* stream, uint flags);

    [LibraryImport(Library, EntryPoint = "cuStreamDestroy_v2")]
    public static partial int StreamDestroy(nint stream);

    [LibraryImport(Library, EntryPoint = "cuStreamSynchronize")]
    public static partial int StreamSynchronize(nint stream);

    [LibraryImport(Library, EntryPoint = "cuStreamWaitEvent")]
    public static partial int StreamWaitEvent(nint stream, nint e, uint flags);

    [LibraryImport(Library, EntryPoint = "cuEventCreate")]
    public static partial int EventCreate(nint* e, uint flags);

    [LibraryImport(Library, EntryPoint = "cuEventDestroy_v2")]
    public static partial int EventDestroy(nint e);

    [LibraryImport(Library, EntryPoint = "cuEventRecord")]
    public static partial int EventRecord(nint e, nint stream);

    [LibraryImport(Library, EntryPoint = "cuEventSynchronize")]
    public static partial int EventSynchronize(nint e);

    [LibraryImport(Library, EntryPoint = "cuEventElapsedTime")]
    public static partial int EventElapsedTime(float* milliseconds, nint start, nint end);

    // Code

    [LibraryImport(Library, EntryPoint = "cuModuleLoadData")]
    public static partial int ModuleLoadData(nint* module, void* image);

    [LibraryImport(Library, EntryPoint = "cuModuleUnload")]
    public static partial int ModuleUnload(nint module);

    [LibraryImport(Library, EntryPoint = "cuModuleGetFunction")]
    public static partial int ModuleGetFunction(nint* function, nint module, byte* name);

    [LibraryImport(Library, EntryPoint = "cuFuncSetAttribute")]
    public static partial int FuncSetAttribute(nint function, int attribute, int value);

    [LibraryImport(Library, EntryPoint = "cuLaunchKernel")]
    public static partial int LaunchKernel(nint function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes,
        nint stream, void** arguments, void** extra);

    [LibraryImport(Library, EntryPoint = "cuTensorMapEncodeTiled")]
    public static partial int TensorMapEncodeTiled(void* map, int type, uint rank, ulong address, ulong* sizes, ulong* strides, uint* box, uint* elementStrides,
        int interleave, int swizzle, int promotion, int fill);
}
