using System;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>
/// The reference and the fallback: float32 arithmetic in AVX-512, AVX2 or scalar code, whichever the machine has, on a fixed set of threads. Activations are F32;
/// matrices on the right of a product and embedding tables may be F16 or BF16 and are widened on the way. One op, one file.
/// </summary>
public sealed unsafe partial class CpuBackend : IBackend
{
    private readonly Workers _workers;
    private readonly Scratch _scratch = new();

    /// <summary>A backend on <paramref name="threads"/> threads; 0 for one a core.</summary>
    public CpuBackend(int threads = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        _workers = new Workers(threads == 0 ? Environment.ProcessorCount : threads);
    }

    /// <inheritdoc/>
    public string Name => $"CPU {(Avx512F.IsSupported ? "AVX-512" : Avx2.IsSupported && Fma.IsSupported ? "AVX2" : "scalar")}, {_workers.Count} threads";

    /// <inheritdoc/>
    public DType ActivationDType => DType.F32;

    /// <inheritdoc/>
    public long? FreeBytes => null;

    /// <summary>Threads that work on an op.</summary>
    public int Threads => _workers.Count;

    /// <inheritdoc/>
    public DeviceMemory Allocate(long bytes) => new CpuMemory(bytes);

    /// <inheritdoc/>
    public Tensor Load(MappedFile file, long offset, Shape shape, DType dtype)
    {
        ArgumentNullException.ThrowIfNull(file);
        return new Tensor(file.View(offset, shape.Count * dtype.Size()), 0, shape, dtype);
    }

    /// <inheritdoc/>
    public void Upload(ReadOnlySpan<byte> source, Tensor destination)
    {
        if (source.Length != destination.Bytes) throw new ArgumentException($"Upload: {source.Length} bytes into {destination}");
        source.CopyTo(destination.AsSpan<byte>());
    }

    /// <inheritdoc/>
    public void Download(Tensor source, Span<byte> destination)
    {
        if (destination.Length != source.Bytes) throw new ArgumentException($"Download: {source} into {destination.Length} bytes");
        source.AsSpan<byte>().CopyTo(destination);
    }

    /// <inheritdoc/>
    public void Copy(Tensor source, Tensor destination)
    {
        if (source.DType != destination.DType || source.Count != destination.Count) throw new ArgumentException($"Copy: {source} into {destination}");
        Buffer.MemoryCopy(Pointer<byte>(source), Pointer<byte>(destination), destination.Bytes, source.Bytes);
    }

    /// <inheritdoc/>
    public void Synchronize()
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _workers.Dispose();
        _scratch.Dispose();
    }

    /// <summary>The first element of <paramref name="tensor"/>; null for none.</summary>
    private static T* Pointer<T>(Tensor tensor)
        where T : unmanaged => tensor.IsEmpty ? null : (T*)(((CpuMemory)tensor.Memory!).Pointer + tensor.Offset);
}
