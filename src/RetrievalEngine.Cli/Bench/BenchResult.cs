namespace RetrievalEngine.Cli.Bench;

/// <summary>What a case took.</summary>
/// <param name="Case">What was done.</param>
/// <param name="Seconds">The median of all runs.</param>
/// <param name="Shortest">The shortest run.</param>
/// <param name="Runs">How many there were.</param>
/// <param name="Floor">The shortest time that the machine's peaks allow; null where they say nothing.</param>
/// <param name="IsArithmetic">Whether that is the time of its operations, not of its bytes.</param>
/// <param name="Baseline">What the same case took in the run that it is compared with; null where it was not in it.</param>
/// <param name="Skipped">Why it was not done; null where it was.</param>
/// <param name="HasFailed">Whether that is a fault, and not that the device is too small for it.</param>
internal sealed record BenchResult(
    BenchCase Case, double Seconds, double Shortest, int Runs, double? Floor, bool IsArithmetic, double? Baseline, string? Skipped = null,
    bool HasFailed = false)
{
    /// <summary>Operations of products a second.</summary>
    public double Flops => Case.Flops / Seconds;

    /// <summary>Necessary bytes a second.</summary>
    public double Bytes => Case.Bytes / Seconds;

    /// <summary>The floor over the time: 1 is the best that can be.</summary>
    public double? Share => Floor / Seconds;

    /// <summary>How many times faster than the baseline.</summary>
    public double? Ratio => Baseline / Seconds;
}
