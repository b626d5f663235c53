namespace RetrievalEngine.Verification;

/// <summary>One comparison with a reference output.</summary>
/// <param name="Item">What was compared: a folder, a tensor, a file.</param>
/// <param name="Measure">How: <c>relative L2</c>, <c>largest error</c>, <c>ids</c>.</param>
/// <param name="Error">The error found, in the unit of the tolerance.</param>
/// <param name="Tolerance">The largest error that is accepted.</param>
/// <param name="Outcome">The verdict.</param>
/// <param name="Note">Why it failed or was skipped, or what it covers.</param>
public readonly record struct VerificationItem(string Item, string Measure, double Error, double Tolerance, VerificationOutcome Outcome, string? Note)
{
    /// <summary>Ok where <paramref name="error"/> is at most <paramref name="tolerance"/>; NaN fails.</summary>
    public static VerificationItem Of(string item, string measure, double error, double tolerance, string? note = null) =>
        new(item, measure, error, tolerance, error <= tolerance ? VerificationOutcome.Ok : VerificationOutcome.Failed, note);

    /// <summary>Something that could not be compared, and why.</summary>
    public static VerificationItem Skip(string item, string reason) => new(item, "", 0, 0, VerificationOutcome.Skipped, reason);
}
