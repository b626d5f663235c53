using System;

namespace RetrievalEngine.Search;

/// <summary>The best rows of some queries.</summary>
public sealed class SearchResults
{
    internal SearchResults(int queries, int k)
    {
        Queries = queries;
        K = k;
        (Scores, Rows) = (new float[checked(queries * k)], new long[queries * k]);
        (Proofs, Candidates) = (new SearchProof[queries], new int[queries]);
        Array.Fill(Scores, float.NegativeInfinity);
        Array.Fill(Rows, -1);
    }

    /// <summary>How many queries there were.</summary>
    public int Queries { get; }

    /// <summary>Places of each query.</summary>
    public int K { get; }

    /// <summary>[Queries, K], descending for each query; -∞ where there is no row.</summary>
    public float[] Scores { get; }

    /// <summary>[Queries, K]; of equal scores the lower row comes first; -1 where there is none.</summary>
    public long[] Rows { get; }

    /// <summary>[Queries].</summary>
    public SearchProof[] Proofs { get; }

    /// <summary>[Queries] rows that were scored again after the scan; 0 where the scan's scores are the results.</summary>
    public int[] Candidates { get; }

    /// <summary>Scores of one query.</summary>
    public ReadOnlySpan<float> ScoresOf(int query) => Scores.AsSpan(query * K, K);

    /// <summary>Rows of one query.</summary>
    public ReadOnlySpan<long> RowsOf(int query) => Rows.AsSpan(query * K, K);

    /// <summary>Takes over the first queries' results of another search, from its query <paramref name="from"/> on; surplus places are cut.</summary>
    internal void Take(int query, SearchResults other, int from)
    {
        int places = Math.Min(K, other.K);
        other.Scores.AsSpan(from * other.K, places).CopyTo(Scores.AsSpan(query * K));
        other.Rows.AsSpan(from * other.K, places).CopyTo(Rows.AsSpan(query * K));
        Proofs[query] = other.Proofs[from];
        Candidates[query] = other.Candidates[from];
    }

    /// <summary>The best of candidates, of which row -1 is none.</summary>
    internal void Rank(int query, Span<float> scores, Span<long> rows, SearchProof proof)
    {
        int count = 0;
        for (int i = 0; i < rows.Length; i++)
        {
            if (rows[i] < 0 || float.IsNaN(scores[i])) continue;
            (rows[count], scores[count++]) = (rows[i], scores[i]);
        }

        // By score descending and row ascending as one number each: sorting pairs is slow.
        (Candidates[query], Proofs[query]) = (count, proof);
        Span<UInt128> keys = count <= 256 ? stackalloc UInt128[count] : new UInt128[count];
        for (int i = 0; i < count; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(scores[i] + 0f), ordered = bits >= 0x80000000 ? bits : ~(bits | 0x80000000);
            keys[i] = new UInt128(ordered, (ulong)rows[i]);
        }

        keys.Sort();
        for (int i = 0; i < Math.Min(count, K); i++)
        {
            uint ordered = (uint)(keys[i] >> 64);
            Scores[query * K + i] = BitConverter.UInt32BitsToSingle(ordered >= 0x80000000 ? ordered : ~ordered & 0x7FFFFFFF);
            Rows[query * K + i] = (long)(ulong)keys[i];
        }
    }
}
