namespace RetrievalEngine.Encoding;

/// <summary>What vectors were made from.</summary>
/// <param name="Path">Where it lay.</param>
/// <param name="Hash">Hash of its content (ids and texts, or vectors), independent of the file format.</param>
/// <param name="Rows">How many texts it has.</param>
public sealed record EmbeddingSource(string Path, string Hash, long Rows);
