using System;

namespace RetrievalEngine.Search;

/// <summary>What a search may find, and how it looks for it.</summary>
public sealed record SearchOptions
{
    /// <summary>Candidates for each wanted result where a search of prefixes does not say.</summary>
    public const int DefaultRescoreMultiplier = 4;

    /// <summary>All rows, exactly.</summary>
    public static SearchOptions Default { get; } = new();

    /// <summary>The rows that may be found; all where null. It is read inside the scan and must not change meanwhile.</summary>
    public RowSet? Filter { get; init; }

    /// <summary>For each query a row that it does not find, such as itself, or -1. None where empty.</summary>
    public ReadOnlyMemory<long> ExcludedRows { get; init; }

    /// <summary>
    /// Elements of a vector that are scanned; then <see cref="RescoreMultiplier"/> · k candidates are scored by all elements. For vectors whose first elements are
    /// vectors by themselves (Kusupati et al. 2022, Matryoshka Representation Learning); cosines are those of the prefixes. Not exact. Null: all.
    /// </summary>
    public int? PrefixDimensions { get; init; }

    /// <summary>Candidates for each wanted result, with <see cref="PrefixDimensions"/>.</summary>
    public int RescoreMultiplier { get; init; } = DefaultRescoreMultiplier;

    /// <summary>What is read of an index with codes. The result is the same.</summary>
    public ScanKind Scan { get; init; }

    /// <summary>Told after each block of rows.</summary>
    public IProgress<ProgressUpdate>? Progress { get; init; }
}
