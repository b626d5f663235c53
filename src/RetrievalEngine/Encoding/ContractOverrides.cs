using RetrievalEngine.Compute;
using RetrievalEngine.Text;

namespace RetrievalEngine.Encoding;

/// <summary>What a user sets instead of what the model says; null leaves it to the model.</summary>
public sealed record ContractOverrides
{
    /// <summary>See <see cref="EncodingContract.QueryPrefix"/>.</summary>
    public string? QueryPrefix { get; init; }

    /// <summary>See <see cref="EncodingContract.PassagePrefix"/>.</summary>
    public string? PassagePrefix { get; init; }

    /// <summary>See <see cref="EncodingContract.Strip"/>.</summary>
    public bool? Strip { get; init; }

    /// <summary>See <see cref="EncodingContract.QueryMaxLength"/>.</summary>
    public int? QueryMaxLength { get; init; }

    /// <summary>See <see cref="EncodingContract.PassageMaxLength"/>.</summary>
    public int? PassageMaxLength { get; init; }

    /// <summary>See <see cref="EncodingContract.TruncationSide"/>.</summary>
    public TruncationSide? TruncationSide { get; init; }

    /// <summary>See <see cref="EncodingContract.Pooling"/>.</summary>
    public Pooling? Pooling { get; init; }

    /// <summary>See <see cref="EncodingContract.Normalize"/>.</summary>
    public bool? Normalize { get; init; }

    /// <summary>See <see cref="EncodingContract.AddSpecialTokens"/>.</summary>
    public bool? AddSpecialTokens { get; init; }

    /// <summary>See <see cref="EncodingContract.AppendEosToken"/>.</summary>
    public bool? AppendEosToken { get; init; }

    /// <summary>See <see cref="EncodingContract.Dimensions"/>.</summary>
    public int? Dimensions { get; init; }

    /// <summary>See <see cref="EncodingContract.Temperature"/>.</summary>
    public float? Temperature { get; init; }

    /// <summary>These over <paramref name="otherwise"/>.</summary>
    public ContractOverrides Over(ContractOverrides otherwise)
    {
        System.ArgumentNullException.ThrowIfNull(otherwise);
        return new ContractOverrides
        {
            QueryPrefix = QueryPrefix ?? otherwise.QueryPrefix,
            PassagePrefix = PassagePrefix ?? otherwise.PassagePrefix,
            Strip = Strip ?? otherwise.Strip,
            QueryMaxLength = QueryMaxLength ?? otherwise.QueryMaxLength,
            PassageMaxLength = PassageMaxLength ?? otherwise.PassageMaxLength,
            TruncationSide = TruncationSide ?? otherwise.TruncationSide,
            Pooling = Pooling ?? otherwise.Pooling,
            Normalize = Normalize ?? otherwise.Normalize,
            AddSpecialTokens = AddSpecialTokens ?? otherwise.AddSpecialTokens,
            AppendEosToken = AppendEosToken ?? otherwise.AppendEosToken,
            Dimensions = Dimensions ?? otherwise.Dimensions,
            Temperature = Temperature ?? otherwise.Temperature,
        };
    }
}
