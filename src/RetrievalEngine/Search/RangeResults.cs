using System;
using System.Collections.Generic;

namespace RetrievalEngine.Search;

/// <summary>All rows of some queries that score at least a threshold; each query has as many as there are.</summary>
public sealed class RangeResults
{
    private readonly (float[] Scores, long[] Rows, SearchProof Proof)[] _queries;

    internal RangeResults(IReadOnlyList<(float[] Scores, long[] Rows, SearchProof Proof)> queries) => _queries = [.. queries];

    /// <summary>How many queries there were.</summary>
    public int Queries => _queries.Length;

    /// <summary>Scores of one query, descending.</summary>
    public ReadOnlySpan<float> ScoresOf(int query) => _queries[query].Scores;

    /// <summary>Rows of one query; of equal scores the lower row comes first.</summary>
    public ReadOnlySpan<long> RowsOf(int query) => _queries[query].Rows;

    /// <summary>Why these are all rows of one query.</summary>
    public SearchProof ProofOf(int query) => _queries[query].Proof;
}
