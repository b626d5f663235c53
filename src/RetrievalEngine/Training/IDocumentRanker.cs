using System.Collections.Generic;
using RetrievalEngine.Data;
using RetrievalEngine.Search;

namespace RetrievalEngine.Training;

/// <summary>A search over a corpus whose rows are numbered in the order of its documents. Calls may come from several threads.</summary>
public interface IDocumentRanker
{
    /// <summary>The best <paramref name="depth"/> documents of <paramref name="query"/>, best first.</summary>
    IReadOnlyList<SearchHit> Rank(Query query, int depth);

    /// <summary>The score of the document <paramref name="row"/>, as <see cref="Rank"/> would give it.</summary>
    double Score(Query query, int row);
}
