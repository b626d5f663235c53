namespace RetrievalEngine.Training;

/// <summary>What one <see cref="ContrastiveStep"/> saw.</summary>
/// <param name="Loss">Mean over the queries.</param>
/// <param name="MeanCosine">Mean cosine between two passages of the batch: 1 means that the model maps everything to one point.</param>
/// <param name="Scores">[queries × passages], or empty where not asked for.</param>
public readonly record struct ContrastiveResult(float Loss, double MeanCosine, float[] Scores);
