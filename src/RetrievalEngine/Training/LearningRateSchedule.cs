using System;

namespace RetrievalEngine.Training;

/// <summary>
/// Learning rate by step: a linear warm-up of <paramref name="WarmupSteps"/>, whose first step is already at 1/WarmupSteps, then linear or cosine decay to 0, or none.
/// </summary>
/// <param name="Kind">What follows the warm-up.</param>
/// <param name="LearningRate">The peak.</param>
/// <param name="WarmupSteps">Steps until the peak; 0 for none.</param>
/// <param name="TotalSteps">Steps of the run.</param>
public readonly record struct LearningRateSchedule(ScheduleKind Kind, float LearningRate, int WarmupSteps, int TotalSteps)
{
    /// <summary>The rate of step <paramref name="step"/>, from 0.</summary>
    public float At(int step)
    {
        double warm = WarmupSteps == 0 ? 1 : Math.Min(1, (step + 1.0) / WarmupSteps);
        double left = (TotalSteps - step) / (double)Math.Max(1, TotalSteps - WarmupSteps);
        double decay = Kind switch
        {
            ScheduleKind.Linear => Math.Min(1, left),
            ScheduleKind.Cosine => 0.5 * (1 + Math.Cos(Math.PI * (1 - Math.Min(1, left)))),
            _ => 1,
        };
        return (float)(LearningRate * Math.Min(warm, decay));
    }
}
