using System.Collections.Generic;

namespace RetrievalEngine.Data;

/// <summary>One row of training data.</summary>
/// <param name="QueryId">The query's id.</param>
/// <param name="Query">The query's text.</param>
/// <param name="Positives">Relevant passages.</param>
/// <param name="Negatives">Passages that are not relevant, the hardest first.</param>
/// <param name="Prompt">The row's own instruction, which stands in for the query prefix (FlagEmbedding); null for none.</param>
public sealed record TrainingRow(
    string QueryId, string Query, IReadOnlyList<Document> Positives, IReadOnlyList<Document> Negatives, string? Prompt = null);
