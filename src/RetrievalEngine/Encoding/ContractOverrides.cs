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
}
