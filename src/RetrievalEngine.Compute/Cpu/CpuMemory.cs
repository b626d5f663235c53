using System;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>Host memory: a block of our own, aligned to 64 bytes, or part of a <see cref="MappedFile"/>.</summary>
public sealed unsafe class CpuMemory : DeviceMemory
{
    private readonly byte* _pointer;
    private readonly MappedFile? _file;

    /// <summary>Allocates; contents undefined.</summary>
    /// <exception cref="OutOfMemoryException">The system has not that much.</exception>
    public CpuMemory(long bytes)
        : base(bytes)
    {
        _pointer = HostMemory.Allocate(bytes);
    }

    /// <summary>Views a mapped file, which stays open for as long as this lives.</summary>
    internal CpuMemory(MappedFile file, byte* pointer, long bytes)
        : base(bytes)
    {
        _file = file;
        _pointer = pointer;
    }

    /// <summary>The first byte. Valid until disposed.</summary>
    public byte* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            return _pointer;
        }
    }

    /// <summary>Whether it is part of a file.</summary>
    internal bool IsMapped => _file is not null;

    /// <summary><paramref name="count"/> elements of <paramref name="elementSize"/> bytes from byte <paramref name="offset"/> on.</summary>
    internal Span<T> Span<T>(long offset, long count, int elementSize)
        where T : unmanaged
    {
        if (sizeof(T) == 1) (count, elementSize) = (count * elementSize, 1);
        if (sizeof(T) != elementSize) throw new InvalidOperationException($"elements have {elementSize} bytes but {typeof(T).Name} has {sizeof(T)}");
        if (offset < 0 || count > (Length - offset) / elementSize) throw new ArgumentOutOfRangeException(nameof(count));
        return new Span<T>(Pointer + offset, checked((int)count));
    }

    /// <inheritdoc/>
    protected override void Release()
    {
        if (_file is null) HostMemory.Free(_pointer);
    }
}
