using System;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>
/// The best k rows of one query seen by one thread. A row is one number that is larger for a better row: the score in the upper half, in an order
/// that integers have, and the complement of the row in the lower, so that of equal scores the lower row wins. They are collected unsorted; when the
/// room is full the best k stay.
/// </summary>
internal unsafe struct Candidates
{
    private ulong* _keys;
    private int _count, _room, _k;

    /// <summary>A row with a lower score cannot be among the best.</summary>
    public float Threshold { get; private set; }

    /// <summary>Room in which collecting <paramref name="k"/> of <paramref name="rows"/> is fast.</summary>
    public static long Room(long k, long rows) => Math.Max(1, Math.Min(rows, Math.Max(2 * k, k + 256)));

    /// <summary>Begins with nothing.</summary>
    public void Begin(ulong* keys, int room, int k, float threshold)
    {
        _keys = keys;
        _room = room;
        _k = k;
        _count = 0;
        Threshold = threshold;
    }

    /// <summary>Takes a row whose score is at least <see cref="Threshold"/>.</summary>
    public void Add(float score, uint row) => Add(Key(score, row));

    /// <summary>Takes what another thread collected.</summary>
    public void Add(in Candidates other)
    {
        for (int i = 0; i < other._count; i++) Add(other._keys[i]);
    }

    /// <summary>The best k, the best first.</summary>
    public ReadOnlySpan<ulong> Sorted()
    {
        Select(_keys, _count, _k);
        Span<ulong> best = new(_keys, Math.Min(_count, _k));
        best.Sort();
        best.Reverse();
        return best;
    }

    /// <summary>Score of a row.</summary>
    public static float Score(ulong key)
    {
        uint ordered = (uint)(key >> 32);
        return BitConverter.UInt32BitsToSingle(ordered >= 0x80000000 ? ordered & 0x7FFFFFFF : ~ordered);
    }

    /// <summary>Row.</summary>
    public static uint Row(ulong key) => ~(uint)key;

    private void Add(ulong key)
    {
        if (_count == _room)
        {
            // There is room for all rows, or for more than k.
            Select(_keys, _count, _k);
            _count = _k;
            ulong least = _keys[0];
            for (int i = 1; i < _k; i++) least = Math.Min(least, _keys[i]);
            Threshold = Math.Max(Threshold, Score(least));
        }

        _keys[_count++] = key;
    }

    /// <summary>Brings the <paramref name="k"/> largest to the front (Hoare's quickselect).</summary>
    private static void Select(ulong* keys, long count, long k)
    {
        long low = 0, high = count - 1;
        while (low < high)
        {
            ulong a = keys[low], b = keys[low + (high - low) / 2], c = keys[high];
            ulong pivot = Math.Max(Math.Min(a, b), Math.Min(Math.Max(a, b), c));
            long i = low, j = high;
            while (i <= j)
            {
                while (keys[i] > pivot) i++;
                while (keys[j] < pivot) j--;
                if (i > j) break;
                (keys[i], keys[j]) = (keys[j], keys[i]);
                i++;
                j--;
            }

            if (k <= j + 1) high = j;
            else if (k > i) low = i;
            else return;
        }
    }

    private static ulong Key(float score, uint row)
    {
        // -0 becomes 0: they are equal.
        uint bits = BitConverter.SingleToUInt32Bits(score + 0f);
        uint ordered = bits >= 0x80000000 ? ~bits : bits | 0x80000000;
        return ((ulong)ordered << 32) | ~row;
    }
}
