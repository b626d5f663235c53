using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Indexing;
using RetrievalEngine.Search;

namespace RetrievalEngine.Training;

/// <summary>Ranks by the vectors of an index. All queries are encoded and searched together when it is made; after that it only looks up.</summary>
public sealed class DenseRanker : IDocumentRanker
{
    private readonly DenseIndex _index;
    private readonly long[] _indexRows;
    private readonly Dictionary<(string Text, string? Prompt), (float[] Vector, SearchHit[] Hits)> _queries;

    private DenseRanker(DenseIndex index, long[] indexRows, Dictionary<(string Text, string? Prompt), (float[] Vector, SearchHit[] Hits)> queries)
    {
        _index = index;
        _indexRows = indexRows;
        _queries = queries;
    }

    /// <summary>Ranks <paramref name="corpus"/>, whose vectors <paramref name="index"/> holds, to <paramref name="depth"/> for each of <paramref name="queries"/>.</summary>
    /// <exception cref="InputException">Corpus and index do not hold the same documents.</exception>
    public static DenseRanker Create(DenseIndex index, TextEncoder encoder, IReadOnlyList<Document> corpus, IEnumerable<Query> queries, int depth,
        IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(index);
        ArgumentNullException.ThrowIfNull(encoder);
        ArgumentNullException.ThrowIfNull(corpus);
        Dictionary<string, int> corpusRows = new(corpus.Count, StringComparer.Ordinal);
        for (int row = 0; row < corpus.Count; row++) corpusRows.Add(corpus[row].Id, row);
        if (index.Manifest.Rows != corpus.Count) throw new InputException($"the index holds {index.Manifest.Rows} vectors but the corpus {corpus.Count} documents; encode the same corpus");
        long[] indexRows = new long[corpus.Count];
        foreach (long row in index.LiveRows)
        {
            string id = index.Id(row);
            indexRows[corpusRows.TryGetValue(id, out int at) ? at : throw new InputException($"the index holds document {id}, which the corpus does not; encode the same corpus")] = row;
        }

        Query[] distinct = [.. queries.DistinctBy(query => (query.Text, query.Prompt))];
        float[] vectors = encoder.EncodeQueries(distinct, cancellation);
        int width = encoder.Contract.Dimensions, q = 0;
        Dictionary<(string, string?), (float[], SearchHit[])> ranked = new(distinct.Length);
        foreach (RankedQuery query in index.Rank([.. distinct.Select(query => query.Text)], vectors, depth, progress: progress, cancellation: cancellation))
        {
            ranked.Add((distinct[q].Text, distinct[q].Prompt), (vectors.AsSpan(q * width, width).ToArray(), [.. query.Hits.Select(hit => new SearchHit(corpusRows[hit.DocId], hit.Score))]));
            q++;
        }

        return new DenseRanker(index, indexRows, ranked);
    }

    /// <inheritdoc/>
    public IReadOnlyList<SearchHit> Rank(Query query, int depth)
    {
        SearchHit[] hits = _queries[(query.Text, query.Prompt)].Hits;
        return new ArraySegment<SearchHit>(hits, 0, Math.Min(depth, hits.Length));
    }

    /// <inheritdoc/>
    public double Score(Query query, int row)
    {
        (float[] vector, SearchHit[] hits) = _queries[(query.Text, query.Prompt)];
        foreach (SearchHit hit in hits)
        {
            if (hit.Row == row) return hit.Score;
        }

        return _index.Score(vector, _indexRows[row]);
    }
}
