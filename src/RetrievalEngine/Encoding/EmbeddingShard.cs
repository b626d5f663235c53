namespace RetrievalEngine.Encoding;

/// <summary>One finished part of a folder of vectors.</summary>
/// <param name="VectorsFile">A safetensors file with one tensor <see cref="EmbeddingManifest.TensorName"/> [rows, dimensions].</param>
/// <param name="IdsFile">One JSON string a line, in row order.</param>
/// <param name="Rows">How many vectors.</param>
/// <param name="VectorsHash">SHA-256 of the first file.</param>
/// <param name="IdsHash">SHA-256 of the second.</param>
/// <param name="Tokens">Tokens of the texts.</param>
/// <param name="Truncated">Texts that were cut to the contract's length.</param>
/// <param name="Empty">Texts without content.</param>
public sealed record EmbeddingShard(
    string VectorsFile, string IdsFile, int Rows, string VectorsHash, string IdsHash, long Tokens, int Truncated, int Empty);
