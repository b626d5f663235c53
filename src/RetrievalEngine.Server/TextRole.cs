namespace RetrievalEngine.Server;

/// <summary>What a text is to the model: which prefix it gets and which length holds.</summary>
public enum TextRole
{
    /// <summary>As it stands, up to the length of a passage.</summary>
    Plain,

    /// <summary>A query: the contract's query prefix.</summary>
    Query,

    /// <summary>A passage: the contract's passage prefix and rules.</summary>
    Passage,
}
