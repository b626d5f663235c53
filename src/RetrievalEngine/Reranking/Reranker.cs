using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Data;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Reranking;

/// <summary>Scores the documents at the top of a run again. The texts of the next queries are tokenised while the model works on these.</summary>
public sealed class Reranker
{
    private const string Tag = "rerank";
    private const int QueriesPerBlock = 16;
    private readonly CrossEncoder _encoder;
    private readonly Func<string, Document?> _find;

    /// <summary>A reranker of documents that <paramref name="find"/> gives by id (null: not in the corpus); it may be called by several threads.</summary>
    public Reranker(CrossEncoder encoder, Func<string, Document?> find)
    {
        _encoder = encoder;
        _find = find;
    }

    /// <summary>
    /// Scores the best <paramref name="depth"/> documents of each query of <paramref name="run"/>. Documents below are left out of the new run. Equal scores stand in
    /// the old order.
    /// </summary>
    /// <param name="run">What a retriever found.</param>
    /// <param name="queries">Texts of the queries by id.</param>
    /// <param name="depth">Documents a query, at most.</param>
    /// <param name="journal">Queries that are done are taken from it, and written to it as they are finished; null for none.</param>
    /// <param name="progress">Told the pairs done.</param>
    /// <param name="cancellation">Stops between two batches.</param>
    /// <exception cref="InputException">The run names a query or a document that is not there; nothing was scored.</exception>
    public RerankSummary Rerank(RunFile run, IReadOnlyDictionary<string, string> queries, int depth, RerankJournal? journal = null,
        IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(queries);
        Check(run, queries, depth);
        (string QueryId, string[] DocIds)[] best = Best(run, depth);
        long total = best.Sum(query => (long)query.DocIds.Length), pairs = 0, tokens = 0;
        int truncated = 0;
        Dictionary<string, ScoredDocument[]> scored = new(StringComparer.Ordinal);
        foreach ((string id, _) in best)
        {
            if (journal is not null && journal.TryGet(id, out ScoredDocument[] documents)) scored.Add(id, documents);
        }

        long before = pairs = scored.Values.Sum(documents => (long)documents.Length);
        Stopwatch clock = Stopwatch.StartNew();
        progress?.Report(new ProgressUpdate(Tag, pairs, total, "pairs"));
        (string QueryId, string[] DocIds)[][] blocks = [.. best.Where(query => !scored.ContainsKey(query.QueryId)).Chunk(QueriesPerBlock)];
        Task<TokenizedPairs[]>? next = null;
        for (int b = 0; b < blocks.Length; b++)
        {
            TokenizedPairs[] block = (next ?? Prepare(blocks[b])).GetAwaiter().GetResult();
            next = b + 1 < blocks.Length ? Prepare(blocks[b + 1]) : null;
            truncated += block.Sum(query => query.Truncated);
            int index = b;
            _encoder.Score([.. block.Select(query => query.Pairs)], (q, scores) => Add(blocks[index][q], scores), (count, batchTokens) =>
            {
                tokens += batchTokens;
                string rate = string.Create(CultureInfo.InvariantCulture, $"{tokens / clock.Elapsed.TotalSeconds:N0} tokens/s");
                progress?.Report(new ProgressUpdate(Tag, pairs += count, total, "pairs", rate));
            }, cancellation);
        }

        RunFile reranked = new(Tag);
        foreach ((string id, _) in best) reranked.Add(id, scored[id].OrderByDescending(document => document.Score));
        return new RerankSummary(reranked, pairs - before, before, tokens, truncated, clock.Elapsed.TotalSeconds);

        Task<TokenizedPairs[]> Prepare((string QueryId, string[] DocIds)[] block) => Task.Run(
            () => Array.ConvertAll(block, query => _encoder.Tokenize(queries[query.QueryId], [.. query.DocIds.Select(id => _find(id)!.Value)], cancellation)), cancellation);

        void Add((string QueryId, string[] DocIds) query, float[] scores)
        {
            ScoredDocument[] documents = [.. query.DocIds.Select((id, i) => new ScoredDocument(id, scores[i]))];
            scored.Add(query.QueryId, documents);
            journal?.Add(query.QueryId, documents);
        }
    }

    /// <summary>Whether all queries and documents are there that <see cref="Rerank"/> would need.</summary>
    /// <exception cref="InputException">The run names a query or a document that is not there.</exception>
    public void Check(RunFile run, IReadOnlyDictionary<string, string> queries, int depth)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(queries);
        string[] unknown = [.. run.QueryIds.Where(id => !queries.ContainsKey(id))];
        if (unknown.Length > 0)
            throw new InputException($"{unknown.Length} queries of the run are not among the queries given, the first is \"{unknown[0]}\"; give the queries that were searched with");
        (string QueryId, string DocId)[] missing = [.. Best(run, depth).SelectMany(query => query.DocIds.Where(id => _find(id) is null).Select(id => (query.QueryId, id)))];
        if (missing.Length > 0)
            throw new InputException($"{missing.Length} documents of the run are not in the corpus, the first is \"{missing[0].DocId}\" of query \"{missing[0].QueryId}\"; give the corpus that was searched");
    }

    private static (string QueryId, string[] DocIds)[] Best(RunFile run, int depth) =>
        [.. run.QueryIds.Select(id => (id, (string[])[.. run[id].OrderByDescending(d => d.Score).Take(depth).Select(d => d.DocId)]))];
}
