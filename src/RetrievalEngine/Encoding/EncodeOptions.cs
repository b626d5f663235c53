using RetrievalEngine.Compute;

namespace RetrievalEngine.Encoding;

/// <summary>What <see cref="CorpusEncoder"/> shall do.</summary>
public sealed record EncodeOptions
{
    /// <summary>Rows of a shard where nothing else is asked for: what a run that is killed loses at most.</summary>
    public const int DefaultRowsPerShard = 4096;

    /// <summary>The model's folder.</summary>
    public required string Model { get; init; }

    /// <summary>The adapter's folder, if any.</summary>
    public string? Adapter { get; init; }

    /// <summary>The file or folder with the texts.</summary>
    public required string Input { get; init; }

    /// <summary>The folder to write.</summary>
    public required string Output { get; init; }

    /// <summary>What the input holds.</summary>
    public EncodingSide Side { get; init; } = EncodingSide.Passage;

    /// <summary>The type to store: F32, F16 or BF16.</summary>
    public DType DType { get; init; } = DType.F32;

    /// <summary>See <see cref="TextEncoder.BatchTokens"/>.</summary>
    public int BatchTokens { get; init; } = TextEncoder.DefaultBatchTokens;

    /// <summary>Rows of a shard.</summary>
    public int RowsPerShard { get; init; } = DefaultRowsPerShard;

    /// <summary>What to do otherwise than the model says.</summary>
    public ContractOverrides Overrides { get; init; } = new();
}
