using System.Collections.Generic;
using RetrievalEngine.Search;

namespace RetrievalEngine.Indexing;

/// <summary>What was found for a query.</summary>
/// <param name="QueryId">Its id.</param>
/// <param name="Hits">The documents, best first.</param>
/// <param name="Proof">Why these are the best.</param>
/// <param name="Candidates">Vectors that were scored again after the scan.</param>
public sealed record RankedQuery(string QueryId, IReadOnlyList<DenseHit> Hits, SearchProof Proof, int Candidates);
