namespace RetrievalEngine.Encoding;

/// <summary>Which of the two kinds of text a vector stands for: they may have different prefixes and lengths.</summary>
public enum EncodingSide
{
    /// <summary>What is searched for.</summary>
    Query,

    /// <summary>What is found: a document or part of one.</summary>
    Passage,
}
