using System;

namespace RetrievalEngine.Server;

/// <summary>What became of the items of a request.</summary>
/// <param name="Results">In the order of the items.</param>
/// <param name="Queued">How long the first of them waited.</param>
/// <param name="Computed">How long the batches took that they were in.</param>
internal sealed record BatchResults<TResult>(TResult[] Results, TimeSpan Queued, TimeSpan Computed);
