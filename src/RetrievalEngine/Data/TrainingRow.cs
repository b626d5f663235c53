using System.Collections.Generic;

namespace RetrievalEngine.Data;

/// <summary>One line of training data in Tevatron's inline layout.</summary>
/// <param name="QueryId">The query's id.</param>
/// <param name="Query">The query's text.</param>
/// <param name="Positives">Relevant passages.</param>
/// <param name="Negatives">Passages that are not relevant, the hardest first.</param>
public sealed record TrainingRow(string QueryId, string Query, IReadOnlyList<Document> Positives, IReadOnlyList<Document> Negatives);
