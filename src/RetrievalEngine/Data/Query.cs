namespace RetrievalEngine.Data;

/// <summary>A query.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Text">Its text, as in the file.</param>
public readonly record struct Query(string Id, string Text);
