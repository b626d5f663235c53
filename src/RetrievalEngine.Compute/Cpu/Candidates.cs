using System;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Threading;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>
/// The best k rows of one query seen by one thread. A row is one number that is larger for a better row: the score in the upper half, in an order
/// that integers have, and the complement of the row in the lower, so that of equal scores the lower row wins. They are collected unsorted; what cannot be
/// among the best is dropped from time to time. Threads tell each other how good a share of the k each of them has, because the k best of all threads
/// are far fewer than those of each.
/// </summary>
internal unsafe struct Candidates
{
    private const int Lanes = 16, Sample = 64, Margin = Sample / 16, Buckets = 2048, MostInABucket = 32;
    private ulong* _keys, _floors;
    private int _count, _room, _limit, _k, _share, _lane, _lanes;

    /// <summary>A row with a lower score cannot be among the best.</summary>
    public float Threshold { get; private set; }

    /// <summary>Room in which collecting <paramref name="k"/> of <paramref name="rows"/> is fast: for all of them, or for more than k; and for a vector behind it.</summary>
    public static long Room(long k, long rows) => Math.Min(rows, Math.Max(2 * k, k + 256)) + Lanes;

    /// <summary>
    /// Begins with nothing. <paramref name="floors"/> are those of the <paramref name="lanes"/> threads that search for this query, zeros at first.
    /// </summary>
    public void Begin(ulong* keys, int room, int k, float threshold, ulong* floors, int lane, int lanes)
    {
        _keys = keys;
        _floors = floors;
        (_room, _k, _lane, _lanes) = (room - Lanes, k, lane, lanes);
        _share = (k + lanes - 1) / lanes;
        _count = 0;
        Threshold = threshold;
        Limit();
    }

    /// <summary>Takes a row whose score is at least <see cref="Threshold"/>.</summary>
    public void Add(float score, uint row) => Add(Key(score, row));

    /// <summary>
    /// Takes those of 16 rows, the first of which is <paramref name="row"/>, whose scores are at least <see cref="Threshold"/>, if any: without a branch, because
    /// nobody could predict it.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(Vector512<float> scores, uint row)
    {
        Vector512<float> are = Vector512.GreaterThanOrEqual(scores, Vector512.Create(Threshold));
        ulong mask = are.ExtractMostSignificantBits();
        if (!Avx512F.IsSupported)
        {
            for (; mask != 0; mask &= mask - 1) Add(scores[BitOperations.TrailingZeroCount(mask)], row + (uint)BitOperations.TrailingZeroCount(mask));
            return;
        }

        if (_count >= _limit) Trim();
        Vector512<int> bits = Avx512F.Compress(Vector512<float>.Zero, are, scores + Vector512<float>.Zero).AsInt32();
        Vector512<uint> rows = Avx512F.Compress(Vector512<uint>.Zero, are.AsUInt32(), ~(Vector512.Create(row) + Vector512<uint>.Indices));
        (Vector512<ulong> low, Vector512<ulong> high) = Vector512.Widen((bits ^ ((bits >> 31) | Vector512.Create(int.MinValue))).AsUInt32());
        (Vector512<ulong> lowRows, Vector512<ulong> highRows) = Vector512.Widen(rows);
        ((low << 32) | lowRows).Store(_keys + _count);
        ((high << 32) | highRows).Store(_keys + _count + (Lanes / 2));
        _count += BitOperations.PopCount(mask);
    }

    /// <summary>Takes what another thread collected; all have ended.</summary>
    public void Add(in Candidates other)
    {
        // From now on there is one.
        (_floors[0], _lane, _lanes, _share) = (Floor(), 0, 1, _k);
        for (int i = 0; i < other._count; i++)
        {
            if (other._keys[i] >= _floors[0]) Add(other._keys[i]);
        }
    }

    /// <summary>The best k, the best first.</summary>
    public ReadOnlySpan<ulong> Sorted()
    {
        Select(_keys, _count, _k);
        Span<ulong> best = new(_keys, Math.Min(_count, _k)), free = new(_keys + best.Length, _room - best.Length);
        if (free.Length < best.Length || best.Length < Buckets / 8 || !TrySort(best, free)) best.Sort();
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
        if (_count >= _limit) Trim();
        _keys[_count++] = key;
    }

    private void Limit() => _limit = (int)Math.Min(_room, 2L * Math.Max(_share, _count) + 256);

    /// <summary>A key that the best k of all threads reach; 0 while one of them has not told.</summary>
    private readonly ulong Floor()
    {
        ulong least = ulong.MaxValue;
        for (int lane = 0; lane < _lanes; lane++) least = Math.Min(least, Volatile.Read(ref _floors[lane]));
        return least;
    }

    /// <summary>Drops what is below a key that k others reach, of this thread or of all.</summary>
    private void Trim()
    {
        Span<ulong> sample = stackalloc ulong[Sample];
        for (int i = 0; i < Sample; i++) sample[i] = _keys[(long)i * _count / Sample];
        sample.Sort();
        // Where each thread has its share of k at or above the least of their floors, k keys are there.
        Volatile.Write(ref _floors[_lane], Math.Max(_floors[_lane], Reached(sample, _share)));
        ulong least = Math.Max(Floor(), _lanes > 1 ? Reached(sample, _k) : 0);
        Keep(least);
        if (_count > _k + (_room - _k) / 2)
        {
            Select(_keys, _count, _k);
            _count = _k;
            least = _keys[0];
            for (int i = 1; i < _k; i++) least = Math.Min(least, _keys[i]);
        }

        // 0 is no score.
        if (least > 0) Threshold = Math.Max(Threshold, Score(least));
        Limit();
    }

    /// <summary>One of the <paramref name="sample"/> that <paramref name="wanted"/> keys and few more reach; 0 where none is found.</summary>
    private readonly ulong Reached(ReadOnlySpan<ulong> sample, int wanted)
    {
        for (long at = Sample * ((long)_count - wanted) / _count - Margin; at > 0; at -= Margin)
        {
            if (Reach(sample[(int)at]) >= wanted) return sample[(int)at];
        }

        return 0;
    }

    /// <summary>How many reach <paramref name="least"/>.</summary>
    private readonly long Reach(ulong least)
    {
        Vector512<ulong> counts = default;
        int i = 0;
        for (; i <= _count - Vector512<ulong>.Count; i += Vector512<ulong>.Count)
            counts -= Vector512.GreaterThanOrEqual(Vector512.Load(_keys + i), Vector512.Create(least));
        long reach = (long)Vector512.Sum(counts);
        for (; i < _count; i++) reach += _keys[i] >= least ? 1 : 0;
        return reach;
    }

    /// <summary>Drops what does not reach <paramref name="least"/>, without a branch.</summary>
    private void Keep(ulong least)
    {
        int i = 0, kept = 0;
        for (; Avx512F.IsSupported && i <= _count - Vector512<ulong>.Count; i += Vector512<ulong>.Count)
        {
            Vector512<ulong> keys = Vector512.Load(_keys + i), are = Vector512.GreaterThanOrEqual(keys, Vector512.Create(least));
            Avx512F.Compress(Vector512<ulong>.Zero, are, keys).Store(_keys + kept);
            kept += BitOperations.PopCount(are.ExtractMostSignificantBits());
        }

        for (; i < _count; i++)
        {
            ulong key = _keys[i];
            _keys[kept] = key;
            kept += key >= least ? 1 : 0;
        }

        _count = kept;
    }

    /// <summary>
    /// Sorts keys by the bucket of their range in which they lie, then what is near. False, and nothing done, where many lie in one.
    /// </summary>
    [SkipLocalsInit]
    private static bool TrySort(Span<ulong> keys, Span<ulong> free)
    {
        ulong least = ulong.MaxValue, most = 0;
        foreach (ulong key in keys) (least, most) = (Math.Min(least, key), Math.Max(most, key));
        int shift = Math.Max(0, 64 - BitOperations.LeadingZeroCount(most - least) - BitOperations.Log2(Buckets)), begin = 0;
        Span<int> ends = stackalloc int[Buckets];
        ends.Clear();
        foreach (ulong key in keys) ends[(int)((key - least) >> shift)]++;
        foreach (ref int end in ends)
        {
            if (end > MostInABucket) return false;
            (end, begin) = (begin, begin + end);
        }

        foreach (ulong key in keys) free[ends[(int)((key - least) >> shift)]++] = key;
        for (int i = 0; i < keys.Length; i++)
        {
            ulong key = free[i];
            int at = i;
            for (; at > 0 && keys[at - 1] > key; at--) keys[at] = keys[at - 1];
            keys[at] = key;
        }

        return true;
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
