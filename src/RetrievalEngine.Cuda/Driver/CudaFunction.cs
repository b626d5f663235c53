namespace RetrievalEngine.Cuda.Driver;

/// <summary>One kernel.</summary>
internal sealed class CudaFunction(string name, nint handle)
{
    private const int MaxDynamicSharedBytes = 8;
    // What a kernel may use without asking.
    private int _sharedBytes = 48 << 10;

    /// <summary>Its name in the source.</summary>
    public string Name { get; } = name;

    /// <summary>The driver's handle.</summary>
    public nint Handle { get; } = handle;

    /// <summary>Makes launches with <paramref name="bytes"/> of dynamic shared memory possible.</summary>
    public void AllowSharedBytes(int bytes)
    {
        if (bytes <= _sharedBytes) return;
        int result = CudaDriver.FuncSetAttribute(Handle, MaxDynamicSharedBytes, bytes);
        if (result != 0) throw new CudaException("cuFuncSetAttribute", result, $"{Name} wants {bytes} bytes of shared memory");
        _sharedBytes = bytes;
    }
}
