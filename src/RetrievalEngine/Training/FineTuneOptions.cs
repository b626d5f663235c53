using RetrievalEngine.Checkpoints;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Reranking;

namespace RetrievalEngine.Training;

/// <summary>What <c>retrieval train</c> is asked for.</summary>
public sealed record FineTuneOptions
{
    /// <summary>What the model becomes.</summary>
    public TrainingTaskKind Task { get; init; }

    /// <summary>Folder of the base model.</summary>
    public required string Model { get; init; }

    /// <summary>File or folder of training data.</summary>
    public required string TrainData { get; init; }

    /// <summary>What <see cref="TrainData"/> is.</summary>
    public TrainingFormat Format { get; init; } = TrainingFormat.Auto;

    /// <summary>Corpus of training data that names passages by id.</summary>
    public string? Corpus { get; init; }

    /// <summary>BEIR folder to measure on while training.</summary>
    public string? DevData { get; init; }

    /// <summary>Which judgements of <see cref="DevData"/>: <c>dev</c>, <c>test</c>.</summary>
    public string DevSplit { get; init; } = "dev";

    /// <summary>Most documents of the dev corpus.</summary>
    public int DevCorpusSize { get; init; } = 10_000;

    /// <summary>Of a reranker: what a retriever found for the queries of <see cref="DevData"/>.</summary>
    public string? DevRun { get; init; }

    /// <summary>Documents of <see cref="DevRun"/> a query, at most.</summary>
    public int DevDepth { get; init; } = 20;

    /// <summary>Folder for log, checkpoints and the result.</summary>
    public required string Output { get; init; }

    /// <summary>A fresh LoRA adapter of this shape; null for full training or with <see cref="StartAdapter"/>.</summary>
    public AdapterConfig? Lora { get; init; }

    /// <summary>Adapter to go on from.</summary>
    public string? StartAdapter { get; init; }

    /// <summary>How to train.</summary>
    public TrainingOptions Training { get; init; } = new();

    /// <summary>How texts are treated, where it differs from what the model says; carries the temperature.</summary>
    public ContractOverrides Contract { get; init; } = new();

    /// <summary>Of a reranker: how pairs are made, where it differs from what the model says.</summary>
    public RerankOverrides Rerank { get; init; } = new();

    /// <summary>Go on from the last checkpoint in <see cref="Output"/>.</summary>
    public bool Resume { get; init; }
}
