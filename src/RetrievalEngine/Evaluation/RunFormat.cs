namespace RetrievalEngine.Evaluation;

/// <summary>How a run is written.</summary>
public enum RunFormat
{
    /// <summary>Six columns <c>query Q0 document rank score tag</c>, separated by blanks.</summary>
    Trec,

    /// <summary>Three columns <c>query document rank</c>, separated by tabs.</summary>
    MsMarco,
}
