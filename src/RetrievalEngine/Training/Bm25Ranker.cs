using System.Collections.Generic;
using RetrievalEngine.Data;
using RetrievalEngine.Search;

namespace RetrievalEngine.Training;

/// <summary>Ranks by BM25.</summary>
public sealed class Bm25Ranker(Bm25Index index) : IDocumentRanker
{
    /// <inheritdoc/>
    public IReadOnlyList<SearchHit> Rank(Query query, int depth) => index.Search(query.Text, depth);

    /// <inheritdoc/>
    public double Score(Query query, int row) => index.Score(query.Text, row);
}
