using System;
using System.Collections.Generic;

namespace RetrievalEngine.Cuda.Driver;

/// <summary>The kernels of one loaded fatbin.</summary>
internal sealed unsafe class CudaModule : IDisposable
{
    private readonly string _file;
    private readonly Dictionary<string, CudaFunction> _functions = [];
    private readonly Dictionary<string, CudaFunction>.AlternateLookup<ReadOnlySpan<char>> _byName;
    private nint _handle;

    /// <summary>Loads <paramref name="image"/>, the contents of <paramref name="file"/>, into the current context of <paramref name="device"/>.</summary>
    /// <exception cref="CudaException">It holds no code for the device.</exception>
    public CudaModule(string file, ReadOnlySpan<byte> image, CudaDevice device)
    {
        _file = file;
        _byName = _functions.GetAlternateLookup<ReadOnlySpan<char>>();
        nint handle;
        fixed (byte* pointer = image)
        {
            int result = CudaDriver.ModuleLoadData(&handle, pointer);
            if (result is CudaDriver.NoBinaryForGpu or CudaDriver.UnsupportedPtxVersion)
                throw new CudaException("cuModuleLoadData", result, $"{file} holds no code that {device} runs with a driver for CUDA {device.CudaVersion}");
            CudaDriver.Check(result, $"cuModuleLoadData({file})");
        }

        _handle = handle;
    }

    /// <summary>The kernel of that name.</summary>
    /// <exception cref="CudaException">There is none.</exception>
    public CudaFunction Function(ReadOnlySpan<char> name)
    {
        if (_byName.TryGetValue(name, out CudaFunction? known)) return known;
        byte[] text = new byte[System.Text.Encoding.UTF8.GetByteCount(name) + 1];
        System.Text.Encoding.UTF8.GetBytes(name, text);
        nint function;
        fixed (byte* pointer = text)
        {
            int result = CudaDriver.ModuleGetFunction(&function, _handle, pointer);
            if (result == CudaDriver.NotFound)
                throw new CudaException("cuModuleGetFunction", result, $"{_file} has no kernel {name}; was it compiled from another version of the sources?");
            CudaDriver.Check(result, $"cuModuleGetFunction({name})");
        }

        CudaFunction loaded = new(name.ToString(), function);
        _byName[name] = loaded;
        return loaded;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_handle == 0) return;
        _ = CudaDriver.ModuleUnload(_handle);
        _handle = 0;
    }
}
