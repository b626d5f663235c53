using System;

namespace RetrievalEngine.Server;

/// <summary>Vectors, and what they took.</summary>
/// <param name="Vectors">One a text, in their order.</param>
/// <param name="Tokens">Tokens that the model saw.</param>
/// <param name="Truncated">Texts that were cut.</param>
/// <param name="Tokenized">The time to make tokens of them.</param>
/// <param name="Queued">The time until the first batch.</param>
/// <param name="Computed">The time of the batches.</param>
internal sealed record Embeddings(float[][] Vectors, long Tokens, int Truncated, TimeSpan Tokenized, TimeSpan Queued, TimeSpan Computed);
