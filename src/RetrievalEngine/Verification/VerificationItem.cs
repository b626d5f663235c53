namespace RetrievalEngine.Verification;

/// <summary>One comparison with a reference output.</summary>
/// <param name="Item">What was compared: a folder, a tensor, a file.</param>
/// <param name="Measure">How: <c>relative L2</c>, <c>largest error</c>, <c>ids</c>.</param>
/// <param name="Error">The error found, in the unit of the tolerance.</param>
/// <param name="Tolerance">The largest error that is accepted.</param>
/// <param name="Outcome">The verdict.</param>
/// <param name="Note">Why it failed or was skipped, or what it covers.</param>
public readonly record struct VerificationItem(string Item, string Measure, double Error, double Tolerance, VerificationOutcome Outcome, string? Note);
