using System;

namespace RetrievalEngine.Server;

/// <summary>Scores, and what they took, as <see cref="Embeddings"/>.</summary>
internal sealed record PairScores(float[] Scores, long Tokens, int Truncated, TimeSpan Tokenized, TimeSpan Queued, TimeSpan Computed);
