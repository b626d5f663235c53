using System;
using System.IO;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// A tensor to be written: what it is, and how its bytes come. They are asked for once, when the file is written, and need not be in memory as a
/// whole.
/// </summary>
public sealed class TensorSource
{
    private const int ChunkElements = 1 << 18;
    private readonly Action<Stream> _write;

    /// <summary>A tensor whose bytes, row-major and little endian, <paramref name="write"/> puts out: exactly <see cref="Bytes"/> of them.</summary>
    public TensorSource(string name, DType dtype, Shape shape, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(write);
        Name = name;
        DType = dtype;
        Shape = shape;
        _write = write;
    }

    /// <summary>The name to store it under.</summary>
    public string Name { get; }

    /// <summary>The type to store.</summary>
    public DType DType { get; }

    /// <summary>Sizes, outermost first.</summary>
    public Shape Shape { get; }

    /// <summary>Number of bytes.</summary>
    public long Bytes => Shape.Count * DType.Size();

    /// <summary>Values in memory, stored as <paramref name="dtype"/>.</summary>
    public static TensorSource FromFloat32(string name, Shape shape, ReadOnlyMemory<float> values, DType dtype = DType.F32)
    {
        if (values.Length != shape.Count) throw new ArgumentException($"{name}: {values.Length} values for a shape of {shape}");
        return new TensorSource(name, dtype, shape, stream =>
            WriteChunks(stream, values.Length, dtype, (start, chunk) => values.Span.Slice((int)start, chunk.Length).CopyTo(chunk)));
    }

    /// <summary>Bytes in memory, as they are to be stored.</summary>
    public static TensorSource FromBytes(string name, DType dtype, Shape shape, ReadOnlyMemory<byte> bytes) =>
        new(name, dtype, shape, stream => stream.Write(bytes.Span));

    /// <summary>A tensor of a backend, F32 or of the type to store. It is read when the file is written.</summary>
    public static TensorSource FromTensor(string name, IBackend backend, Tensor tensor, DType dtype)
    {
        ArgumentNullException.ThrowIfNull(backend);
        if (tensor.DType != dtype && tensor.DType != DType.F32) throw new ArgumentException($"{name}: {tensor} cannot be stored as {dtype}");
        Tensor flat = tensor.Reshape(tensor.Count);
        return new TensorSource(name, dtype, tensor.Shape, stream =>
        {
            if (tensor.DType == DType.F32)
            {
                WriteChunks(stream, tensor.Count, dtype, (start, chunk) =>
                    backend.Download(flat.Slice(start, chunk.Length), MemoryMarshal.AsBytes(chunk)));
                return;
            }

            byte[] buffer = new byte[ChunkElements * dtype.Size()];
            for (long start = 0; start < flat.Count; start += ChunkElements)
            {
                Tensor part = flat.Slice(start, Math.Min(ChunkElements, flat.Count - start));
                Span<byte> bytes = buffer.AsSpan(0, (int)part.Bytes);
                backend.Download(part, bytes);
                stream.Write(bytes);
            }
        });
    }

    /// <summary>A float tensor of another checkpoint, stored as <paramref name="dtype"/>; bits are kept where that is the type it has.</summary>
    public static TensorSource FromFile(string name, TensorFile file, string storedName, DType dtype)
    {
        ArgumentNullException.ThrowIfNull(file);
        StoredTensor tensor = file.Find(storedName);
        if (file.DTypeOf(storedName) != dtype)
        {
            return new TensorSource(name, dtype, tensor.Shape, stream =>
                WriteChunks(stream, tensor.Shape.Count, dtype, (start, chunk) => file.ReadFloat32(storedName, start, chunk)));
        }

        return new TensorSource(name, dtype, tensor.Shape, stream =>
        {
            for (long start = 0; start < tensor.Bytes; start += ChunkElements)
                stream.Write(file.Bytes(storedName, start, (int)Math.Min(ChunkElements, tensor.Bytes - start)));
        });
    }

    /// <summary>The same tensor under another name.</summary>
    public TensorSource Renamed(string name) => new(name, DType, Shape, _write);

    /// <summary>Puts the bytes out.</summary>
    internal void WriteTo(Stream stream) => _write(stream);

    private static void WriteChunks(Stream stream, long count, DType dtype, FillChunk fill)
    {
        float[] values = new float[Math.Min(ChunkElements, count)];
        byte[] bytes = new byte[values.Length * dtype.Size()];
        for (long start = 0; start < count; start += values.Length)
        {
            Span<float> chunk = values.AsSpan(0, (int)Math.Min(values.Length, count - start));
            fill(start, chunk);
            Span<byte> encoded = bytes.AsSpan(0, chunk.Length * dtype.Size());
            FloatBytes.Narrow(chunk, dtype, encoded);
            stream.Write(encoded);
        }
    }

    private delegate void FillChunk(long start, Span<float> chunk);
}
