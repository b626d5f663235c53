using System;
using System.Collections.Generic;

namespace RetrievalEngine.Cuda;

/// <summary>
/// Which blocks of rows attention begins with: those with most to do, of all sequences together, so that none of them is left to the end. Lists travel with the
/// kernels' arguments and are kept from layer to layer, until the sequences are others.
/// </summary>
internal sealed class AttentionOrder
{
    /// <summary>Blocks that a list can have, kMostOrdered of kernels/attention/problem.cuh: a kernel's arguments are at most 4 KB.</summary>
    public const int Most = 1792;

    // Forward and the two backward kernels, for layers of two kinds: 6 at a time.
    private const int MostLists = 12;
    private readonly List<KeptList> _lists = [];

    /// <summary>
    /// Slots (find_rows in kernels/attention/problem.cuh) of blocks of <paramref name="rows"/> rows, each once, the longest first; of equal ones the last
    /// first. Row r sees columns r - <paramref name="before"/> to r + <paramref name="after"/> of its sequence, all on a side where that is negative. Empty
    /// where there are more than <see cref="Most"/>, or slots that 16 bits do not hold.
    /// </summary>
    public static ushort[] Of(ReadOnlySpan<int> offsets, int rows, int before, int after)
    {
        List<(long Work, int Slot)> blocks = [];
        for (int b = 0; b + 1 < offsets.Length; b++)
        {
            int length = offsets[b + 1] - offsets[b];
            for (int first = 0; first < length; first += rows)
            {
                if (blocks.Count == Most) return [];
                long last = Math.Min(first + rows, length) - 1;
                long from = before < 0 ? 0 : Math.Max(first - (long)before, 0), end = after < 0 ? length : Math.Min(last + after + 1, length);
                int slot = offsets[b] / rows + b + first / rows;
                if (slot > ushort.MaxValue) return [];
                blocks.Add((end - from, slot));
            }
        }

        blocks.Sort();
        blocks.Reverse();
        return [.. blocks.ConvertAll(static block => (ushort)block.Slot)];
    }

    /// <summary><see cref="Of"/>, kept for the next layer.</summary>
    public ReadOnlySpan<ushort> Get(ReadOnlySpan<int> offsets, int rows, int before, int after)
    {
        KeptList? list = _lists.Find(l => l.Key == (rows, before, after));
        if (list is null)
        {
            if (_lists.Count == MostLists) _lists.RemoveAt(0);
            _lists.Add(list = new KeptList((rows, before, after)));
        }

        if (!offsets.SequenceEqual(list.Offsets)) (list.Offsets, list.Slots) = (offsets.ToArray(), Of(offsets, rows, before, after));
        return list.Slots;
    }

    private sealed class KeptList((int Rows, int Before, int After) key)
    {
        public (int Rows, int Before, int After) Key => key;

        public int[] Offsets { get; set; } = [];

        public ushort[] Slots { get; set; } = [];
    }
}
