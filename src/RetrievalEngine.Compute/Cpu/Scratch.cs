using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>Working memory that ops borrow and give back: allocated in the first steps, reused from then on, also by several calling threads at a time.</summary>
internal sealed unsafe class Scratch : IDisposable
{
    private readonly List<(nint Pointer, long Bytes)> _free = [];
    private readonly Lock _lock = new();

    /// <summary>At least <paramref name="bytes"/> bytes, aligned to 64; contents undefined.</summary>
    public Loan Rent(long bytes)
    {
        (nint Pointer, long Bytes) block = default;
        lock (_lock)
        {
            if (_free.Count > 0)
            {
                block = _free[^1];
                _free.RemoveAt(_free.Count - 1);
            }
        }

        if (block.Bytes >= bytes && block.Pointer != 0) return new Loan(this, block.Pointer, block.Bytes);
        NativeMemory.AlignedFree((void*)block.Pointer);
        long rounded = (Math.Max(bytes, 1) + 4095) / 4096 * 4096;
        return new Loan(this, (nint)NativeMemory.AlignedAlloc((nuint)rounded, 64), rounded);
    }

    /// <summary>Frees what is not on loan.</summary>
    public void Dispose()
    {
        foreach ((nint pointer, _) in _free) NativeMemory.AlignedFree((void*)pointer);
        _free.Clear();
    }

    private void Return(nint pointer, long bytes)
    {
        lock (_lock) _free.Add((pointer, bytes));
    }

    /// <summary>A borrowed block; give it back by disposing it, once.</summary>
    public readonly struct Loan(Scratch owner, nint pointer, long bytes) : IDisposable
    {
        /// <summary>The first byte.</summary>
        public void* Pointer => (void*)pointer;

        /// <summary>Gives it back.</summary>
        public void Dispose() => owner.Return(pointer, bytes);
    }
}
