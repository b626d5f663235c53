namespace RetrievalEngine.Training;

/// <summary>What a model is fine-tuned into.</summary>
public enum TrainingTaskKind
{
    /// <summary>An embedding model: <see cref="ContrastiveTask"/>.</summary>
    Retriever,

    /// <summary>A model that scores pairs: <see cref="RerankingTask"/>.</summary>
    Reranker,
}
