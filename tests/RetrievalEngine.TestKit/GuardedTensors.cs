using System;
using System.Collections.Generic;
using NUnit.Framework;
using RetrievalEngine.Compute;

namespace RetrievalEngine.TestKit;

/// <summary>
/// Tensors by name, each inside a larger block whose bytes around it are checked afterwards. Uploads and downloads go through the backend alone.
/// </summary>
public sealed class GuardedTensors(IBackend backend, int alignment) : IDisposable
{
    private const int Guard = 256;
    private const byte Sentinel = 0xA5;
    private readonly Dictionary<string, Tensor> _tensors = [];
    private readonly List<(string Name, DeviceMemory Memory, long Start, long End)> _blocks = [];

    /// <summary>The tensor of that name; none if there is none, which is how optional arguments are left out.</summary>
    public Tensor this[string name] => _tensors.GetValueOrDefault(name);

    /// <summary>Adds a tensor that holds <paramref name="contents"/>, or bytes that are NaN in every float type.</summary>
    public Tensor Add(string name, Shape shape, DType dtype, ReadOnlySpan<byte> contents)
    {
        // One element off the block's alignment, as slices and mapped files are, unless the backend needs more.
        long start = Guard + Math.Max(alignment == 1 ? dtype.Size() : 0, alignment), bytes = shape.Count * dtype.Size();
        DeviceMemory memory = backend.Allocate(start + bytes + Guard);
        byte[] image = new byte[memory.Length];
        Array.Fill(image, Sentinel);
        if (contents.Length != bytes) throw new ArgumentException($"{name}: {contents.Length} bytes for {dtype} {shape}");
        contents.CopyTo(image.AsSpan((int)start));
        backend.Upload(image, new Tensor(memory, 0, new Shape(memory.Length), DType.I8));
        _blocks.Add((name, memory, start, start + bytes));
        return _tensors[name] = new Tensor(memory, start, shape, dtype);
    }

    /// <summary>Makes <paramref name="name"/> another name of <paramref name="other"/>'s elements.</summary>
    public void Alias(string name, string other) => _tensors[name] = _tensors[other];

    /// <summary>The bytes of a tensor.</summary>
    public byte[] Download(string name)
    {
        byte[] bytes = new byte[_tensors[name].Bytes];
        backend.Download(_tensors[name], bytes);
        return bytes;
    }

    /// <summary>Fails where a byte before or behind a tensor changed.</summary>
    public void CheckGuards()
    {
        foreach ((string name, DeviceMemory memory, long start, long end) in _blocks)
        {
            byte[] image = new byte[memory.Length];
            backend.Download(new Tensor(memory, 0, new Shape(memory.Length), DType.I8), image);
            int before = image.AsSpan(0, (int)start).IndexOfAnyExcept(Sentinel), behind = image.AsSpan((int)end).IndexOfAnyExcept(Sentinel);
            if (before >= 0) Assert.Fail($"{name}: written {start - before} bytes before its beginning");
            if (behind >= 0) Assert.Fail($"{name}: written {behind} bytes behind its end");
        }
    }

    /// <summary>Frees all of them.</summary>
    public void Dispose()
    {
        foreach ((_, DeviceMemory memory, _, _) in _blocks) memory.Dispose();
        _blocks.Clear();
        _tensors.Clear();
    }
}
