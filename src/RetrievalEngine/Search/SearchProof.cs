namespace RetrievalEngine.Search;

/// <summary>Why a query's result is the one that scoring every row would give.</summary>
public enum SearchProof
{
    /// <summary>Every row was scored as it is.</summary>
    Scanned,

    /// <summary>A cheaper scan bounded every score; all rows that may be among the best were scored as they are.</summary>
    Proven,

    /// <summary>The bound of a cheaper scan left too many rows open, so every row was scored as it is after all.</summary>
    Rescanned,

    /// <summary>It need not be: candidates were found by prefixes.</summary>
    None,
}
