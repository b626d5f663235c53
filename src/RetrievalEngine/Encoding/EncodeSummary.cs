namespace RetrievalEngine.Encoding;

/// <summary>How an encoding run ended.</summary>
/// <param name="Manifest">The finished folder.</param>
/// <param name="EncodedRows">Vectors made by this run; those of a run that it went on with, and all of a finished one, are not among them.</param>
/// <param name="EncodedTokens">Tokens of those.</param>
/// <param name="Seconds">Time spent on those.</param>
public sealed record EncodeSummary(EmbeddingManifest Manifest, long EncodedRows, long EncodedTokens, double Seconds);
