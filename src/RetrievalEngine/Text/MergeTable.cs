using System;
using System.Buffers;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>Two token ids that become a third.</summary>
internal readonly record struct Merge(int Left, int Right, int Result);

/// <summary>The merges of a <see cref="BpeModel"/>: pairs of token ids with rank and result, in an open-addressing table.</summary>
internal sealed class MergeTable
{
    private const ulong Empty = ulong.MaxValue;

    private readonly ulong[] _keys;
    private readonly int[] _ranks;
    private readonly Merge[] _merges;
    private readonly int _mask;

    private readonly bool _byResult;

    /// <summary>
    /// A table of merges in order of rank, or ranked by the id of their result (tiktoken); of two for the same pair the later one counts.
    /// </summary>
    public MergeTable(List<Merge> merges, bool byResult)
    {
        _byResult = byResult;
        _merges = [.. merges];
        int size = 16;
        while (size < _merges.Length * 2L) size *= 2;
        _keys = new ulong[size];
        Array.Fill(_keys, Empty);
        _ranks = new int[size];
        _mask = size - 1;
        for (int rank = 0; rank < _merges.Length; rank++)
        {
            ulong key = Key(_merges[rank].Left, _merges[rank].Right);
            int slot = Slot(key);
            _keys[slot] = key;
            _ranks[slot] = rank;
        }
    }

    /// <summary>Whether a merge reads or makes one of <paramref name="ids"/>.</summary>
    public bool UsesAny(ReadOnlySpan<int> ids)
    {
        HashSet<int> wanted = [.. ids];
        return Array.Exists(_merges, m => wanted.Contains(m.Left) || wanted.Contains(m.Right) || wanted.Contains(m.Result));
    }

    /// <summary>The tokens that merges make.</summary>
    public IEnumerable<string> Results(Vocabulary vocabulary)
    {
        foreach (Merge merge in _merges) yield return vocabulary.TokenOf(merge.Result)!;
    }

    /// <summary>
    /// Merges the <paramref name="count"/> symbols in place and returns how many are left. Symbols form a linked list; a heap holds the possible
    /// merges by rank, then position, and entries that no longer fit are skipped when they surface.
    /// </summary>
    public int Apply(int[] ids, int[] lengths, int count)
    {
        if (count < 2) return count;
        int[] links = ArrayPool<int>.Shared.Rent(count * 2);
        Span<int> previous = links.AsSpan(0, count), next = links.AsSpan(count, count);
        Heap heap = new(count);
        for (int i = 0; i < count; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1 < count ? i + 1 : -1;
            if (i + 1 < count) Offer(ref heap, i, ids[i], ids[i + 1]);
        }

        while (heap.TryPop(out ulong top))
        {
            int position = (int)(uint)top;
            int right = lengths[position] == 0 ? -1 : next[position];
            if (right < 0) continue;
            int rank = Rank(ids[position], ids[right]);
            int result = _byResult ? (int)(top >> 32) : _merges[(int)(top >> 32)].Result;
            if (rank < 0 || _merges[rank].Result != result) continue;
            ids[position] = result;
            lengths[position] += lengths[right];
            lengths[right] = 0;
            next[position] = next[right];
            if (next[right] >= 0) previous[next[right]] = position;
            if (previous[position] >= 0) Offer(ref heap, previous[position], ids[previous[position]], result);
            if (next[position] >= 0) Offer(ref heap, position, result, ids[next[position]]);
        }

        int left = 0;
        for (int i = 0; i >= 0; i = next[i])
        {
            ids[left] = ids[i];
            lengths[left++] = lengths[i];
        }

        heap.Dispose();
        ArrayPool<int>.Shared.Return(links);
        return left;
    }

    private void Offer(ref Heap heap, int position, int left, int right)
    {
        int rank = Rank(left, right);
        if (rank >= 0) heap.Push(((ulong)(uint)(_byResult ? _merges[rank].Result : rank) << 32) | (uint)position);
    }

    private int Rank(int left, int right)
    {
        ulong key = Key(left, right);
        int slot = Slot(key);
        return _keys[slot] == key ? _ranks[slot] : -1;
    }

    private int Slot(ulong key)
    {
        int slot = (int)((key * 0x9E3779B97F4A7C15UL) >> 32) & _mask;
        while (_keys[slot] != key && _keys[slot] != Empty) slot = (slot + 1) & _mask;
        return slot;
    }

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    /// <summary>A binary min-heap over a rented array.</summary>
    private struct Heap(int capacity) : IDisposable
    {
        private ulong[] _items = ArrayPool<ulong>.Shared.Rent(capacity);
        private int _count;

        public void Push(ulong item)
        {
            if (_count == _items.Length)
            {
                ulong[] larger = ArrayPool<ulong>.Shared.Rent(_count * 2);
                _items.AsSpan(0, _count).CopyTo(larger);
                ArrayPool<ulong>.Shared.Return(_items);
                _items = larger;
            }

            int i = _count++;
            for (int parent; i > 0 && _items[parent = (i - 1) >> 1] > item; i = parent) _items[i] = _items[parent];
            _items[i] = item;
        }

        public bool TryPop(out ulong top)
        {
            top = 0;
            if (_count == 0) return false;
            top = _items[0];
            ulong last = _items[--_count];
            int i = 0;
            for (int child; (child = (2 * i) + 1) < _count; i = child)
            {
                if (child + 1 < _count && _items[child + 1] < _items[child]) child++;
                if (_items[child] >= last) break;
                _items[i] = _items[child];
            }

            _items[i] = last;
            return true;
        }

        public readonly void Dispose() => ArrayPool<ulong>.Shared.Return(_items);
    }
}
