namespace RetrievalEngine.Training;

/// <summary>What a finished run did.</summary>
/// <param name="StepsDone">Steps of this process; fewer than all where it resumed.</param>
/// <param name="TotalSteps">Steps of the run.</param>
/// <param name="FinalLoss">Loss of the last step; NaN where there was nothing left to do.</param>
/// <param name="Tokens">Tokens that this process trained on.</param>
/// <param name="Seconds">Time that it took.</param>
public readonly record struct TrainingSummary(int StepsDone, int TotalSteps, float FinalLoss, long Tokens, double Seconds);
