using System.Collections.Generic;
using RetrievalEngine.Data;

namespace RetrievalEngine.Training;

/// <summary>The hard negatives of one query, and why the other documents of the rank range are none.</summary>
/// <param name="Negatives">The negatives, best ranked first.</param>
/// <param name="Positives">Documents left out because they are positives.</param>
/// <param name="Duplicates">Documents left out because title and text are those of a positive or of a better ranked document.</param>
/// <param name="OutsideScores">Documents left out by a margin or a score limit.</param>
public sealed record MinedNegatives(IReadOnlyList<Document> Negatives, int Positives, int Duplicates, int OutsideScores);
