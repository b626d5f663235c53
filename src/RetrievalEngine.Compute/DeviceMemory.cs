using System;
using System.Threading;

namespace RetrievalEngine.Compute;

/// <summary>One block of bytes on a device: the only owner of memory. Every block counts itself live until disposed, so that tests can demand that all went back.</summary>
public abstract class DeviceMemory : IDisposable
{
    private static long s_liveBlocks, s_liveBytes;
    private int _disposed;

    /// <summary>Counts a block of <paramref name="length"/> bytes.</summary>
    protected DeviceMemory(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        Length = length;
        Interlocked.Increment(ref s_liveBlocks);
        Interlocked.Add(ref s_liveBytes, length);
    }

    /// <summary>Blocks allocated and not yet disposed, on all devices.</summary>
    public static long LiveBlocks => Interlocked.Read(ref s_liveBlocks);

    /// <summary>Bytes in <see cref="LiveBlocks"/>.</summary>
    public static long LiveBytes => Interlocked.Read(ref s_liveBytes);

    /// <summary>Size in bytes.</summary>
    public long Length { get; }

    /// <summary>Gives the bytes back; a second call does nothing.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        Release();
        Interlocked.Decrement(ref s_liveBlocks);
        Interlocked.Add(ref s_liveBytes, -Length);
        GC.SuppressFinalize(this);
    }

    /// <summary>Whether the bytes were given back.</summary>
    public bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    /// <summary>Frees what the derived class holds; called once.</summary>
    protected abstract void Release();
}
