using System;
using System.Collections.Generic;

namespace RetrievalEngine.Compute;

/// <summary>
/// Bump allocator for what lives one step: activations, scratch. <see cref="Reset"/> makes all of it free again in one assignment;
/// once the largest step was seen, no device memory is allocated any more.
/// </summary>
public sealed class Arena : IDisposable
{
    private const long Alignment = 256;

    // Blocks double up to this: a device that is nearly full must not be asked for twice what is needed.
    private const long LargestGrowth = 1 << 30;
    private readonly IBackend _backend;
    private readonly List<DeviceMemory> _blocks = [];
    private int _block;
    private long _used, _live, _peak;

    /// <summary>An empty arena on <paramref name="backend"/>; <paramref name="initialBytes"/> are allocated with the first tensor.</summary>
    public Arena(IBackend backend, long initialBytes = 1 << 20)
    {
        ArgumentNullException.ThrowIfNull(backend);
        _backend = backend;
        InitialBytes = initialBytes;
    }

    /// <summary>Size of the first block.</summary>
    public long InitialBytes { get; }

    /// <summary>Bytes of all blocks.</summary>
    public long Capacity
    {
        get
        {
            long sum = 0;
            foreach (DeviceMemory block in _blocks) sum += block.Length;
            return sum;
        }
    }

    /// <summary>A tensor whose contents are undefined, valid until <see cref="Reset"/> or a <see cref="Release(ArenaMark)"/> to before it.</summary>
    public Tensor Allocate(Shape shape, DType dtype = DType.F32)
    {
        long bytes = (shape.Count * dtype.Size() + Alignment - 1) / Alignment * Alignment;
        while (_block < _blocks.Count)
        {
            if (_used + bytes <= _blocks[_block].Length)
            {
                Tensor tensor = new(_blocks[_block], _used, shape, dtype);
                _used += bytes;
                Count(bytes);
                return tensor;
            }

            _block++;
            _used = 0;
        }

        _blocks.Add(_backend.Allocate(Math.Max(bytes, Math.Max(InitialBytes, Math.Min(Capacity, LargestGrowth)))));
        _block = _blocks.Count - 1;
        _used = bytes;
        Count(bytes);
        return new Tensor(_blocks[_block], 0, shape, dtype);
    }

    /// <summary>Where the arena stands; everything allocated after it can be freed together.</summary>
    public ArenaMark Mark() => new(_block, _used, _live);

    /// <summary>Frees what was allocated since <paramref name="mark"/>.</summary>
    public void Release(ArenaMark mark)
    {
        _block = mark.Block;
        _used = mark.Used;
        _live = mark.Live;
    }

    /// <summary>Frees everything. Several blocks are replaced by one of the size that was needed at most, so that the next step is one block.</summary>
    public void Reset()
    {
        Release(default);
        if (_blocks.Count <= 1) return;
        Dispose();
        _blocks.Add(_backend.Allocate(_peak));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (DeviceMemory block in _blocks) block.Dispose();
        _blocks.Clear();
        Release(default);
    }

    private void Count(long bytes)
    {
        _live += bytes;
        _peak = Math.Max(_peak, _live);
    }
}
