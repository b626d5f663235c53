using RetrievalEngine.Checkpoints;
using RetrievalEngine.Encoding;
using RetrievalEngine.Reranking;

namespace RetrievalEngine.Training;

/// <summary>A convention that others publish models under: how texts are treated, and how a model is trained that way.</summary>
/// <param name="Name">What <c>--preset</c> calls it.</param>
/// <param name="Task">What it is for.</param>
/// <param name="Description">Where it comes from and what is particular to it.</param>
public sealed record Preset(string Name, TrainingTaskKind Task, string Description)
{
    /// <summary>How a retriever's texts are treated.</summary>
    public ContractOverrides Contract { get; init; } = new();

    /// <summary>How a reranker's pairs are made.</summary>
    public RerankOverrides Rerank { get; init; } = new();

    /// <summary>The LoRA adapter that is trained; null for training of all weights.</summary>
    public AdapterConfig? Lora { get; init; }

    /// <summary>How it is trained.</summary>
    public TrainingOptions Training { get; init; } = new();
}
