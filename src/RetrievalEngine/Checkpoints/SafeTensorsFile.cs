using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// A safetensors file, mapped: 8 bytes header length (little endian), a JSON header, then the tensors' bytes
/// (https://github.com/huggingface/safetensors). Opening checks the whole header; pages of weights come in when they are used. Tensors that
/// <see cref="Load"/> returns on the CPU view the mapping: dispose them first.
/// </summary>
public sealed class SafeTensorsFile : IDisposable
{
    private readonly MappedFile _file;
    private readonly Dictionary<string, SafeTensor> _tensors;

    private SafeTensorsFile(MappedFile file, Dictionary<string, SafeTensor> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        _file = file;
        _tensors = tensors;
        Metadata = metadata;
    }

    /// <summary>Where it lies.</summary>
    public string Path => _file.Path;

    /// <summary>The tensors, in the order of the header.</summary>
    public IReadOnlyCollection<SafeTensor> Tensors => _tensors.Values;

    /// <summary>The <c>__metadata__</c> of the header.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens and checks <paramref name="path"/>.</summary>
    /// <exception cref="InputException">It is absent, truncated, or its header does not describe it.</exception>
    public static SafeTensorsFile Open(string path)
    {
        MappedFile file = Map(path);
        try
        {
            if (file.Length < sizeof(ulong))
                throw new InputException($"{path}: {file.Length} bytes are no safetensors file; it is truncated, copy it again");
            ulong length = BinaryPrimitives.ReadUInt64LittleEndian(file.Bytes(0, sizeof(ulong)));
            if (length > SafeTensorsHeader.MaxLength)
                throw new InputException($"{path}: a header of {length} bytes, more than the format allows; this is no safetensors file");
            if ((long)length > file.Length - sizeof(ulong))
                throw new InputException($"{path}: truncated: the header has {length} bytes but the file {file.Length}; copy it again");
            SafeTensorsHeader header = SafeTensorsHeader.Parse(file.Bytes(sizeof(ulong), (int)length), path, file.Length);
            return new SafeTensorsFile(file, header.Tensors, header.Metadata);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Whether there is a tensor of that stored name.</summary>
    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>The tensor stored under <paramref name="name"/>.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public SafeTensor Find(string name) =>
        _tensors.TryGetValue(name, out SafeTensor? tensor) ? tensor : throw new InputException($"{Path}: tensor \"{name}\" is missing");

    /// <summary>The type in which a tensor is stored.</summary>
    /// <exception cref="InputException">Not one that can be computed with.</exception>
    public DType DTypeOf(string name)
    {
        SafeTensor tensor = Find(name);
        return SafeTensorTypes.ToDType(tensor.StoredType)
            ?? throw new InputException($"{Path}: tensor \"{name}\" has type {tensor.StoredType}, which is not supported; use F32, F16 or BF16");
    }

    /// <summary>The tensor as stored: on the CPU a view of the mapping, on a device a copy.</summary>
    public Tensor Load(IBackend backend, string name)
    {
        ArgumentNullException.ThrowIfNull(backend);
        SafeTensor tensor = Find(name);
        return backend.Load(_file, tensor.Offset, tensor.Shape, DTypeOf(name));
    }

    /// <summary>A tensor of a float type, widened to float32.</summary>
    public float[] ReadFloat32(string name)
    {
        float[] values = new float[CountOf(name)];
        ReadFloat32(name, 0, values);
        return values;
    }

    /// <summary>
    /// Part of a tensor of a float type, widened to float32: <paramref name="destination"/> gets elements from <paramref name="start"/> on.
    /// </summary>
    public void ReadFloat32(string name, long start, Span<float> destination)
    {
        DType dtype = DTypeOf(name);
        if (!dtype.IsFloat()) throw new InputException($"{Path}: tensor \"{name}\" has type {dtype} where numbers with a fraction are needed");
        SafeTensor tensor = Find(name);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, tensor.Shape.Count - destination.Length);
        // In pieces, for a span of bytes ends at 2 GiB and a large word table does not.
        for (int done = 0; done < destination.Length;)
        {
            Span<float> part = destination.Slice(done, Math.Min(1 << 26, destination.Length - done));
            FloatBytes.Widen(_file.Bytes(tensor.Offset + (start + done) * dtype.Size(), part.Length * dtype.Size()), dtype, part);
            done += part.Length;
        }
    }

    /// <summary>A tensor of I32 or I64.</summary>
    public long[] ReadInt64(string name)
    {
        DType dtype = DTypeOf(name);
        if (dtype is not (DType.I32 or DType.I64))
            throw new InputException($"{Path}: tensor \"{name}\" has type {dtype} where whole numbers are needed");
        long[] values = new long[CountOf(name)];
        SafeTensor tensor = Find(name);
        for (int i = 0; i < values.Length; i++)
        {
            ReadOnlySpan<byte> bytes = _file.Bytes(tensor.Offset + (long)i * dtype.Size(), dtype.Size());
            values[i] = dtype == DType.I32 ? BinaryPrimitives.ReadInt32LittleEndian(bytes) : BinaryPrimitives.ReadInt64LittleEndian(bytes);
        }

        return values;
    }

    /// <summary>Bytes of a tensor as stored.</summary>
    public ReadOnlySpan<byte> Bytes(string name, long start, int length)
    {
        SafeTensor tensor = Find(name);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, tensor.Bytes - length);
        return _file.Bytes(tensor.Offset + start, length);
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static MappedFile Map(string path)
    {
        if (Directory.Exists(path)) throw new InputException($"{path} is a folder where a file is needed");
        try
        {
            return MappedFile.Open(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path} cannot be read: {e.Message}", e);
        }
    }

    private int CountOf(string name)
    {
        long count = Find(name).Shape.Count;
        return count <= Array.MaxLength
            ? (int)count
            : throw new InputException($"{Path}: tensor \"{name}\" has {count} elements, too many to be read at once");
    }
}
