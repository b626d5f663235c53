namespace RetrievalEngine.Indexing;

/// <summary>The rows of a shard that no longer count.</summary>
/// <param name="File">A safetensors file with one tensor <see cref="IndexManifest.DeletedTensor"/> I32 [rows], ascending row numbers of the shard.</param>
/// <param name="Rows">How many.</param>
/// <param name="Hash">SHA-256 of the file.</param>
public sealed record DeletedRows(string File, int Rows, string Hash);
