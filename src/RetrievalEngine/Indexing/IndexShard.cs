namespace RetrievalEngine.Indexing;

/// <summary>One part of an index.</summary>
/// <param name="VectorsFile">A safetensors file with the rows.</param>
/// <param name="IdsFile">One JSON string a line, in row order.</param>
/// <param name="Rows">How many vectors, deleted ones included.</param>
/// <param name="VectorsHash">SHA-256 of the first file.</param>
/// <param name="IdsHash">SHA-256 of the second.</param>
/// <param name="Deleted">Which of its rows no longer count; null where all do.</param>
public sealed record IndexShard(string VectorsFile, string IdsFile, int Rows, string VectorsHash, string IdsHash, DeletedRows? Deleted = null);
