namespace RetrievalEngine.Verification;

/// <summary>How a comparison with a reference ended.</summary>
public enum VerificationOutcome
{
    /// <summary>It agrees within the tolerance.</summary>
    Ok,

    /// <summary>It does not agree, or could not be computed.</summary>
    Failed,

    /// <summary>It was not compared, because the program does not do it yet.</summary>
    Skipped,
}
