using System;
using System.Collections.Generic;
using System.Numerics;

namespace RetrievalEngine.Search;

/// <summary>A set of row numbers below a fixed bound, one bit each. Many threads may read it while none changes it.</summary>
public sealed class RowSet
{
    private readonly ulong[] _words;

    /// <summary>An empty set of rows 0 to <paramref name="bound"/> - 1.</summary>
    public RowSet(long bound)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bound);
        Bound = bound;
        _words = new ulong[(bound + 63) / 64];
    }

    /// <summary>The set of <paramref name="rows"/>, each below <paramref name="bound"/>.</summary>
    public RowSet(long bound, IEnumerable<long> rows)
        : this(bound)
    {
        ArgumentNullException.ThrowIfNull(rows);
        foreach (long row in rows) Add(row);
    }

    /// <summary>The set whose bit i, counted from the lowest of the first word, says whether row i is in it.</summary>
    /// <exception cref="ArgumentException">There are not as many words as <paramref name="bound"/> asks for, or a bit beyond it is set.</exception>
    public static RowSet FromBitmap(long bound, ReadOnlySpan<ulong> bitmap)
    {
        RowSet set = new(bound);
        if (bitmap.Length != set._words.Length) throw new ArgumentException($"{bitmap.Length} words are no bitmap of {bound} rows", nameof(bitmap));
        if (bound % 64 != 0 && bitmap[^1] >> (int)(bound % 64) != 0) throw new ArgumentException($"a bit beyond the {bound} rows is set", nameof(bitmap));
        bitmap.CopyTo(set._words);
        foreach (ulong word in bitmap) set.Count += BitOperations.PopCount(word);
        return set;
    }

    /// <summary>One more than the largest row number that it can hold.</summary>
    public long Bound { get; }

    /// <summary>How many rows are in it.</summary>
    public long Count { get; private set; }

    /// <summary>Puts a row in; false where it was in already.</summary>
    public bool Add(long row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)row, (ulong)Bound, nameof(row));
        ulong bit = 1UL << (int)(row & 63);
        if ((_words[row >> 6] & bit) != 0) return false;
        _words[row >> 6] |= bit;
        Count++;
        return true;
    }

    /// <summary>Whether a row is in it.</summary>
    public bool Contains(long row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)row, (ulong)Bound, nameof(row));
        return (_words[row >> 6] >> (int)(row & 63) & 1) != 0;
    }

    /// <summary>Makes the terms of rows that are not in it NaN; <paramref name="terms"/> are those of the rows from <paramref name="firstRow"/> on.</summary>
    internal void Restrict(long firstRow, Span<float> terms)
    {
        for (int i = 0; i < terms.Length;)
        {
            long row = firstRow + i;
            int count = (int)Math.Min(64 - (row & 63), terms.Length - i);
            ulong word = _words[row >> 6] >> (int)(row & 63);
            if (word == 0) terms.Slice(i, count).Fill(float.NaN);
            else if (word != ulong.MaxValue)
            {
                for (int bit = 0; bit < count; bit++)
                {
                    if ((word >> bit & 1) == 0) terms[i + bit] = float.NaN;
                }
            }

            i += count;
        }
    }
}
