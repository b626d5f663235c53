namespace RetrievalEngine.Text;

/// <summary>Which text of a pair that is too long loses tokens.</summary>
public enum PairTruncation
{
    /// <summary>The longer one first, then both.</summary>
    LongestFirst,

    /// <summary>The first alone.</summary>
    OnlyFirst,

    /// <summary>The second alone.</summary>
    OnlySecond,
}
