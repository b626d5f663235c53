namespace RetrievalEngine.Training;

/// <summary>What a micro-batch gave.</summary>
/// <param name="Loss">Mean over its queries.</param>
/// <param name="Measure">How unlike the model finds the texts: a number for the log.</param>
/// <param name="IsCollapsed">Whether the model treats all texts alike.</param>
public readonly record struct StepResult(float Loss, double Measure, bool IsCollapsed);
