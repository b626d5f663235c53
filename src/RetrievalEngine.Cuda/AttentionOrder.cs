using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda;

/// <summary>
/// Which blocks of rows attention begins with: those with most to do, of all sequences together, so that none of them is left to the end. Lists stay on the
/// device from layer to layer, until the sequences are others.
/// </summary>
internal sealed class AttentionOrder(CudaContext context, Staging staging) : IDisposable
{
    // Forward and the two backward kernels, for layers of two kinds and one type: 6 at a time.
    private const int MostLists = 12;
    private readonly List<DeviceList> _lists = [];

    /// <summary>
    /// Slots (find_rows in kernels/attention/problem.cuh) of blocks of <paramref name="rows"/> rows, each once, the longest first; of equal ones the last
    /// first. Row r sees columns r - <paramref name="before"/> to r + <paramref name="after"/> of its sequence, all on a side where that is negative.
    /// </summary>
    public static int[] Of(ReadOnlySpan<int> offsets, int rows, int before, int after)
    {
        List<(long Work, int Slot)> blocks = [];
        for (int b = 0; b + 1 < offsets.Length; b++)
        {
            int length = offsets[b + 1] - offsets[b];
            for (int first = 0; first < length; first += rows)
            {
                long last = Math.Min(first + rows, length) - 1;
                long from = before < 0 ? 0 : Math.Max(first - (long)before, 0), end = after < 0 ? length : Math.Min(last + after + 1, length);
                blocks.Add((end - from, offsets[b] / rows + b + first / rows));
            }
        }

        blocks.Sort();
        blocks.Reverse();
        return [.. blocks.ConvertAll(static block => block.Slot)];
    }

    /// <summary>The list on the device, and its length; at least one row belongs to a sequence.</summary>
    public (ulong Address, int Count) OnDevice(ReadOnlySpan<int> offsets, int rows, int before, int after)
    {
        DeviceList? list = _lists.Find(l => l.Key == (rows, before, after));
        if (list is not null && offsets.SequenceEqual(list.Offsets)) return (list.Memory.Pointer, list.Count);
        int[] slots = Of(offsets, rows, before, after);
        long bytes = slots.Length * (long)sizeof(int);
        if (list is null || list.Memory.Length < bytes)
        {
            if (list is null && _lists.Count == MostLists) list = _lists[0];
            // Freeing waits for what still reads the old list.
            list?.Memory.Dispose();
            if (list is not null) _lists.Remove(list);
            list = new DeviceList((rows, before, after), new CudaMemory(context, Math.Max(4096, 2 * bytes)));
            _lists.Add(list);
        }

        staging.Upload(MemoryMarshal.AsBytes<int>(slots), list.Memory.Pointer);
        (list.Offsets, list.Count) = (offsets.ToArray(), slots.Length);
        return (list.Memory.Pointer, list.Count);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (DeviceList list in _lists) list.Memory.Dispose();
        _lists.Clear();
    }

    private sealed class DeviceList((int Rows, int Before, int After) key, CudaMemory memory)
    {
        public (int Rows, int Before, int After) Key => key;

        public CudaMemory Memory => memory;

        public int[] Offsets { get; set; } = [];

        public int Count { get; set; }
    }
}
