using System.Collections.Generic;

namespace RetrievalEngine.Indexing;

/// <summary>What was found for a query.</summary>
/// <param name="QueryId">Its id.</param>
/// <param name="Hits">The documents, best first.</param>
public sealed record RankedQuery(string QueryId, IReadOnlyList<DenseHit> Hits);
