using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Data;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Search;

namespace RetrievalEngine.Training;

/// <summary>
/// Ranks as a run does, whatever made it. A query that the run lacks has no documents; one that the run does not rank for a query scores below all that it does.
/// </summary>
public sealed class RunRanker : IDocumentRanker
{
    private readonly Dictionary<string, SearchHit[]> _queries = new(StringComparer.Ordinal);

    /// <summary>The rankings of <paramref name="run"/> over <paramref name="corpus"/>.</summary>
    /// <exception cref="InputException">The run names a document that the corpus lacks.</exception>
    public RunRanker(RunFile run, IReadOnlyList<Document> corpus)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(corpus);
        Dictionary<string, int> rows = new(corpus.Count, StringComparer.Ordinal);
        for (int row = 0; row < corpus.Count; row++) rows.Add(corpus[row].Id, row);
        foreach (string query in run.QueryIds)
        {
            _queries.Add(query, [.. run[query].OrderByDescending(hit => hit.Score).Select(hit => new SearchHit(
                rows.TryGetValue(hit.DocId, out int row) ? row : throw new InputException($"document \"{hit.DocId}\" of query \"{query}\" in the run is not in the corpus; give the corpus that was searched"),
                hit.Score))]);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<SearchHit> Rank(Query query, int depth)
    {
        SearchHit[] hits = Hits(query);
        return new ArraySegment<SearchHit>(hits, 0, Math.Min(depth, hits.Length));
    }

    /// <inheritdoc/>
    public double Score(Query query, int row)
    {
        foreach (SearchHit hit in Hits(query))
        {
            if (hit.Row == row) return hit.Score;
        }

        return double.NegativeInfinity;
    }

    private SearchHit[] Hits(Query query) => _queries.TryGetValue(query.Id, out SearchHit[]? hits) ? hits : [];
}
