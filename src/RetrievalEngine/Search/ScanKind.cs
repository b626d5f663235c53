namespace RetrievalEngine.Search;

/// <summary>What a search reads of an index that also has codes for a quick scan.</summary>
public enum ScanKind
{
    /// <summary>The codes where that is likely quicker, else the vectors.</summary>
    Auto,

    /// <summary>The vectors.</summary>
    Full,

    /// <summary>The codes.</summary>
    Codes,
}
