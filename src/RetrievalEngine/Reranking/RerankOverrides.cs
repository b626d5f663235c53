using RetrievalEngine.Text;

namespace RetrievalEngine.Reranking;

/// <summary>What a user or a preset sets instead of what the reranker says; null leaves it to the reranker.</summary>
public sealed record RerankOverrides
{
    /// <summary>See <see cref="RerankContract.Layout"/>.</summary>
    public PairLayout? Layout { get; init; }

    /// <summary>See <see cref="RerankContract.QueryPrefix"/>.</summary>
    public string? QueryPrefix { get; init; }

    /// <summary>See <see cref="RerankContract.PassagePrefix"/>.</summary>
    public string? PassagePrefix { get; init; }

    /// <summary>See <see cref="RerankContract.Strip"/>.</summary>
    public bool? Strip { get; init; }

    /// <summary>See <see cref="RerankContract.HyphensToSpaces"/>.</summary>
    public bool? HyphensToSpaces { get; init; }

    /// <summary>See <see cref="RerankContract.AddSpecialTokens"/>.</summary>
    public bool? AddSpecialTokens { get; init; }

    /// <summary>See <see cref="RerankContract.AppendEosToken"/>.</summary>
    public bool? AppendEosToken { get; init; }

    /// <summary>See <see cref="RerankContract.QueryMaxLength"/>.</summary>
    public int? QueryMaxLength { get; init; }

    /// <summary>See <see cref="RerankContract.PassageMaxLength"/>.</summary>
    public int? PassageMaxLength { get; init; }

    /// <summary>See <see cref="RerankContract.MaxLength"/>.</summary>
    public int? MaxLength { get; init; }

    /// <summary>See <see cref="RerankContract.TruncationSide"/>.</summary>
    public TruncationSide? TruncationSide { get; init; }

    /// <summary>These over <paramref name="otherwise"/>.</summary>
    public RerankOverrides Over(RerankOverrides otherwise)
    {
        System.ArgumentNullException.ThrowIfNull(otherwise);
        return new RerankOverrides
        {
            Layout = Layout ?? otherwise.Layout,
            QueryPrefix = QueryPrefix ?? otherwise.QueryPrefix,
            PassagePrefix = PassagePrefix ?? otherwise.PassagePrefix,
            Strip = Strip ?? otherwise.Strip,
            HyphensToSpaces = HyphensToSpaces ?? otherwise.HyphensToSpaces,
            AddSpecialTokens = AddSpecialTokens ?? otherwise.AddSpecialTokens,
            AppendEosToken = AppendEosToken ?? otherwise.AppendEosToken,
            QueryMaxLength = QueryMaxLength ?? otherwise.QueryMaxLength,
            PassageMaxLength = PassageMaxLength ?? otherwise.PassageMaxLength,
            MaxLength = MaxLength ?? otherwise.MaxLength,
            TruncationSide = TruncationSide ?? otherwise.TruncationSide,
        };
    }
}
