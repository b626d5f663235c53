using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.IO;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// A file of named tensors, mapped: pages of weights come in when they are used. Tensors that <see cref="Load"/> returns on the CPU view the mapping:
/// dispose them first.
/// </summary>
public abstract class TensorFile : IDisposable
{
    private readonly MappedFile _file;
    private readonly Dictionary<string, StoredTensor> _tensors;

    private protected TensorFile(MappedFile file, Dictionary<string, StoredTensor> tensors)
    {
        _file = file;
        _tensors = tensors;
    }

    /// <summary>Where it lies.</summary>
    public string Path => _file.Path;

    /// <summary>The tensors, in the order of the file.</summary>
    public IReadOnlyCollection<StoredTensor> Tensors => _tensors.Values;

    /// <summary>Opens a file of either format, told apart by its name: <c>.bin</c> is PyTorch's, everything else safetensors.</summary>
    /// <exception cref="InputException">It is absent, damaged, or not of that format.</exception>
    public static TensorFile Open(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return path.EndsWith(".bin", StringComparison.Ordinal) ? TorchFile.Open(path) : SafeTensorsFile.Open(path);
    }

    /// <summary>Whether there is a tensor of that stored name.</summary>
    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>The tensor stored under <paramref name="name"/>.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public StoredTensor Find(string name) =>
        _tensors.TryGetValue(name, out StoredTensor? tensor) ? tensor : throw new InputException($"{Path}: tensor \"{name}\" is missing");

    /// <summary>The type in which a tensor is stored.</summary>
    /// <exception cref="InputException">Not one that can be computed with.</exception>
    public DType DTypeOf(string name)
    {
        StoredTensor tensor = Find(name);
        return TensorTypes.ToDType(tensor.StoredType)
            ?? throw new InputException($"{Path}: tensor \"{name}\" has type {tensor.StoredType}, which is not supported; use F32, F16 or BF16");
    }

    /// <summary>The tensor as stored: on the CPU a view of the mapping, on a device a copy.</summary>
    public Tensor Load(IBackend backend, string name)
    {
        ArgumentNullException.ThrowIfNull(backend);
        StoredTensor tensor = Find(name);
        return backend.Load(_file, tensor.Offset, tensor.Shape, DTypeOf(name));
    }

    /// <summary>The tensor as stored, in host memory whatever computes: a view of the mapping. Dispose this file after it.</summary>
    public Tensor View(string name)
    {
        StoredTensor tensor = Find(name);
        DType dtype = DTypeOf(name);
        return new Tensor(_file.View(tensor.Offset, tensor.Shape.Count * dtype.Size()), 0, tensor.Shape, dtype);
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
        StoredTensor tensor = Find(name);
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

    /// <summary>Whether no value of a tensor of a float type is infinite or not a number. Reads all of it.</summary>
    public bool IsFinite(string name)
    {
        DType dtype = DTypeOf(name);
        if (!dtype.IsFloat()) throw new InputException($"{Path}: tensor \"{name}\" has type {dtype} where numbers with a fraction are needed");
        StoredTensor tensor = Find(name);
        for (long start = 0; start < tensor.Bytes; start += 1 << 26)
        {
            if (!FloatBytes.AreFinite(_file.Bytes(tensor.Offset + start, (int)Math.Min(1 << 26, tensor.Bytes - start)), dtype)) return false;
        }

        return true;
    }

    /// <summary>A tensor of I32 or I64.</summary>
    public long[] ReadInt64(string name)
    {
        DType dtype = DTypeOf(name);
        if (dtype is not (DType.I32 or DType.I64))
            throw new InputException($"{Path}: tensor \"{name}\" has type {dtype} where whole numbers are needed");
        long[] values = new long[CountOf(name)];
        StoredTensor tensor = Find(name);
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
        StoredTensor tensor = Find(name);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, tensor.Bytes - length);
        return _file.Bytes(tensor.Offset + start, length);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Maps a file of any kind.</summary>
    /// <exception cref="InputException">It is absent, a folder, or not readable.</exception>
    internal static MappedFile Map(string path)
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
