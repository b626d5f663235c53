namespace RetrievalEngine.Compute;

/// <summary>How the hidden states of one sequence become one vector.</summary>
public enum Pooling
{
    /// <summary>The last token.</summary>
    Last,

    /// <summary>The first token.</summary>
    Cls,

    /// <summary>The mean over all tokens.</summary>
    Mean,
}
