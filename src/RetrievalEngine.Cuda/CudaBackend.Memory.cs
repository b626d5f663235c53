using System;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    private const int FileChunk = 16 << 20;

    /// <inheritdoc/>
    public DeviceMemory Allocate(long bytes) => new CudaMemory(_context, bytes);

    /// <inheritdoc/>
    public Tensor Load(MappedFile file, long offset, Shape shape, DType dtype)
    {
        ArgumentNullException.ThrowIfNull(file);
        Tensor tensor = new(Allocate(shape.Count * dtype.Size()), 0, shape, dtype);
        try
        {
            for (long at = 0; at < tensor.Bytes; at += FileChunk)
                Upload(file.Bytes(offset + at, (int)Math.Min(FileChunk, tensor.Bytes - at)), tensor, at);
            return tensor;
        }
        catch
        {
            tensor.Memory!.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Upload(ReadOnlySpan<byte> source, Tensor destination)
    {
        if (source.Length != destination.Bytes) throw new ArgumentException($"Upload: {source.Length} bytes into {destination}");
        Upload(source, destination, 0);
    }

    /// <inheritdoc/>
    public void Download(Tensor source, Span<byte> destination)
    {
        if (destination.Length != source.Bytes) throw new ArgumentException($"Download: {source} into {destination.Length} bytes");
        _context.MakeCurrent();
        if (destination.Length > 0) _staging.Download(CudaMemory.Address(source), destination);
    }

    /// <inheritdoc/>
    public void Copy(Tensor source, Tensor destination)
    {
        if (source.DType != destination.DType || source.Count != destination.Count) throw new ArgumentException($"Copy: {source} into {destination}");
        if (source.Bytes == 0) return;
        _context.MakeCurrent();
        CudaDriver.Check(
            CudaDriver.MemcpyDtoDAsync(CudaMemory.Address(destination), CudaMemory.Address(source), (nuint)source.Bytes, _stream.Handle),
            "cuMemcpyDtoDAsync");
    }

    /// <inheritdoc/>
    public void Synchronize()
    {
        _context.MakeCurrent();
        _stream.Synchronize();
    }

    /// <summary>
    /// Does <paramref name="work"/> and gives the seconds that the device took for it by its own clock; what was asked for before does not count.
    /// </summary>
    public double Seconds(Action work)
    {
        ArgumentNullException.ThrowIfNull(work);
        _context.MakeCurrent();
        using CudaEvent start = new(timing: true), end = new(timing: true);
        start.Record(_stream);
        work();
        end.Record(_stream);
        end.Synchronize();
        return end.MillisecondsSince(start) / 1e3;
    }

    private void Upload(ReadOnlySpan<byte> source, Tensor destination, long offset)
    {
        _context.MakeCurrent();
        _staging.Upload(source, CudaMemory.Address(destination) + (ulong)offset);
    }
}
