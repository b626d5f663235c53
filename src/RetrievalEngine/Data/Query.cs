namespace RetrievalEngine.Data;

/// <summary>A query.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Text">Its text, as in the file.</param>
/// <param name="Prompt">Its own instruction, which stands in for the query prefix; null for none.</param>
public readonly record struct Query(string Id, string Text, string? Prompt = null);
