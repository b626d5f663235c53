using System;
using System.Collections.Generic;
using System.Threading;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>
/// Working memory that ops borrow and give back: allocated in the first steps, reused from then on, also by several calling threads at a time.
/// </summary>
internal sealed unsafe class Scratch : IDisposable
{
    private readonly List<(nint Pointer, long Bytes)> _free = [];
    private readonly Lock _lock = new();

    /// <summary>At least <paramref name="bytes"/> bytes, aligned to 64; contents undefined.</summary>
    public Loan Rent(long bytes)
    {
        (nint Pointer, long Bytes) block = Take(bytes);
        if (block.Pointer != 0 && block.Bytes >= bytes) return new Loan(this, block.Pointer, block.Bytes);
        HostMemory.Free((void*)block.Pointer);
        long rounded = (Math.Max(bytes, 1) + 4095) / 4096 * 4096;
        return new Loan(this, (nint)HostMemory.Allocate(rounded), rounded);
    }

    /// <summary>Frees what is not on loan.</summary>
    public void Dispose()
    {
        foreach ((nint pointer, _) in _free) HostMemory.Free((void*)pointer);
        _free.Clear();
    }

    /// <summary>
    /// The smallest free block that is large enough, so that large ones stay for those who need them; else the largest, which is replaced; else none.
    /// </summary>
    private (nint Pointer, long Bytes) Take(long bytes)
    {
        lock (_lock)
        {
            int best = -1;
            for (int i = 0; i < _free.Count; i++)
            {
                if (best < 0 || IsBetter(_free[i].Bytes, _free[best].Bytes)) best = i;
            }

            if (best < 0) return default;
            (nint Pointer, long Bytes) block = _free[best];
            _free.RemoveAt(best);
            return block;
        }

        bool IsBetter(long size, long than) => size >= bytes ? than < bytes || size < than : than < bytes && size > than;
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
