using System;

namespace RetrievalEngine.Server;

/// <summary>What was computed of the texts of a request, and what that took.</summary>
/// <param name="Values">A vector or a score for each, in their order.</param>
/// <param name="Tokens">Tokens that the model saw.</param>
/// <param name="Truncated">Texts that were cut.</param>
/// <param name="Tokenizing">The time to make tokens of them.</param>
/// <param name="Queued">The time until the first batch.</param>
/// <param name="Computing">The time of the batches.</param>
internal sealed record Computed<T>(T[] Values, long Tokens, int Truncated, TimeSpan Tokenizing, TimeSpan Queued, TimeSpan Computing);
