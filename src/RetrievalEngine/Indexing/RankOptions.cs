using System.Collections.Generic;
using RetrievalEngine.Search;

namespace RetrievalEngine.Indexing;

/// <summary>Which documents of an index are ranked, and how they are looked for.</summary>
public sealed record RankOptions
{
    /// <summary>Ids of the documents that may be found; all where null. Ids that are not there are no matter.</summary>
    public IReadOnlySet<string>? Filter { get; init; }

    /// <summary>The same as rows (<see cref="DenseIndex.RowsOf"/>), for a filter that serves several searches; instead of <see cref="Filter"/>.</summary>
    public RowSet? Rows { get; init; }

    /// <summary>Leaves out the document that has the query's id, for collections whose queries are documents (ArguAna, Quora).</summary>
    public bool ExcludeSelf { get; init; }

    /// <summary>Leaves out documents with a lower score.</summary>
    public float? ScoreThreshold { get; init; }

    /// <summary>As <see cref="SearchOptions.Scan"/>.</summary>
    public ScanKind Scan { get; init; }

    /// <summary>As <see cref="SearchOptions.PrefixDimensions"/>.</summary>
    public int? PrefixDimensions { get; init; }

    /// <summary>As <see cref="SearchOptions.RescoreMultiplier"/>.</summary>
    public int RescoreMultiplier { get; init; } = SearchOptions.DefaultRescoreMultiplier;
}
