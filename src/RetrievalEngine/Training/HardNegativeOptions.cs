namespace RetrievalEngine.Training;

/// <summary>Which documents of a ranked list become hard negatives. Names are those of sentence-transformers' <c>mine_hard_negatives</c>.</summary>
public sealed record HardNegativeOptions
{
    /// <summary>Negatives for each query.</summary>
    public int NumNegatives { get; init; } = 15;

    /// <summary>The best so many ranks are passed over, because they hold most of the relevant documents that nobody judged.</summary>
    public int RangeMin { get; init; }

    /// <summary>Ranks from here on are not looked at.</summary>
    public int RangeMax { get; init; } = 100;

    /// <summary>A negative scores at most the lowest positive's score less this share of it (NV-Retriever: 0.05).</summary>
    public double? RelativeMargin { get; init; }

    /// <summary>A negative scores at most the lowest positive's score less this.</summary>
    public double? AbsoluteMargin { get; init; }

    /// <summary>A negative scores at least this.</summary>
    public double? MinScore { get; init; }

    /// <summary>A negative scores at most this.</summary>
    public double? MaxScore { get; init; }

    /// <summary>Whether negatives are drawn from all that qualify, instead of the best ones.</summary>
    public bool Random { get; init; }

    /// <summary>Decides the draw.</summary>
    public ulong Seed { get; init; } = 42;

    /// <summary>Refuses values that no corpus could satisfy.</summary>
    /// <exception cref="InputException">An option is out of its range.</exception>
    public void Check()
    {
        if (NumNegatives < 1) throw new InputException($"the number of negatives is {NumNegatives} but must be 1 or more");
        if (RangeMin < 0 || RangeMax <= RangeMin)
            throw new InputException($"the rank range {RangeMin} to {RangeMax} is empty; the first counts the ranks passed over");
        if (RelativeMargin is < 0 or > 1) throw new InputException($"the relative margin is {RelativeMargin} but must lie between 0 and 1");
        if (AbsoluteMargin < 0) throw new InputException($"the absolute margin is {AbsoluteMargin} but must not be negative");
    }
}
