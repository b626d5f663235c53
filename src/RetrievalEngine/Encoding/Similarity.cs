namespace RetrievalEngine.Encoding;

/// <summary>How two vectors are compared.</summary>
public enum Similarity
{
    /// <summary>Inner product of the vectors scaled to length 1; a zero vector has similarity 0 with everything.</summary>
    Cosine,

    /// <summary>Inner product as they are.</summary>
    Dot,
}
