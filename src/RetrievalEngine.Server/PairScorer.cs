using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Data;
using RetrievalEngine.Reranking;
using RetrievalEngine.Text;

namespace RetrievalEngine.Server;

/// <summary>Scores of passages for many callers at once. Safe for concurrent use.</summary>
internal sealed class PairScorer : IAsyncDisposable
{
    private const int CharactersPerToken = 250;

    private readonly CrossEncoder _encoder;
    private readonly BatchQueue<Item, float> _queue;

    /// <summary>Takes turns on <paramref name="device"/>; <paramref name="computed"/> is told the pairs and tokens of each batch.</summary>
    public PairScorer(CrossEncoder encoder, long mostQueuedTokens, SemaphoreSlim device, Action<int, long>? computed = null)
    {
        _encoder = encoder;
        _queue = new BatchQueue<Item, float>(Compute, static item => item.Pair.Ids.Length, encoder.BatchTokens, mostQueuedTokens, device, computed);
    }

    /// <summary>The rules for pairs.</summary>
    public RerankContract Contract => _encoder.Contract;

    /// <summary>Pairs that wait.</summary>
    public int Waiting => _queue.Waiting;

    /// <summary>The head's output for <paramref name="query"/> with each of <paramref name="passages"/>.</summary>
    /// <exception cref="RequestException">A pair cannot be taken, or the server is busy, stops or fails.</exception>
    public Task<Computed<float>> ScoreAsync(string query, IReadOnlyList<Document> passages, bool truncate, CancellationToken cancellation) =>
        ScoreAsync([(query, passages)], truncate, cancellation);

    /// <summary>The same for several queries, one behind the other: one request to the queue, which takes it or refuses it as a whole.</summary>
    /// <exception cref="RequestException">A pair cannot be taken, or the server is busy, stops or fails.</exception>
    public async Task<Computed<float>> ScoreAsync(IReadOnlyList<(string Query, IReadOnlyList<Document> Passages)> queries, bool truncate, CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp(), tokens = 0;
        int truncated = 0;
        List<Item> items = [];
        for (int q = 0; q < queries.Count; q++)
        {
            (string query, IReadOnlyList<Document> passages) = queries[q];
            // It becomes tokens once a passage.
            if (query.Length > CharactersPerToken * Contract.MaxLength)
                throw RequestException.Invalid($"a query of {query.Length} characters is far beyond the {Contract.MaxLength} tokens that the model takes");
            TokenizedPairs pairs = Embedder.Tokenized(() => _encoder.Tokenize(query, passages, cancellation));
            tokens += pairs.Tokens;
            truncated += pairs.Truncated;
            foreach (TokenPair pair in pairs.Pairs) items.Add(new Item(pair, q));
        }

        if (truncated > 0 && !truncate)
            throw RequestException.Invalid($"{truncated} of {items.Count} texts have, with the query, more than the {Contract.MaxLength} tokens that the model takes; shorten them, or ask for \"truncate\": true");
        TimeSpan tokenized = Stopwatch.GetElapsedTime(start);
        BatchResults<float> results = await _queue.RunAsync([.. items], cancellation).ConfigureAwait(false);
        return new Computed<float>(results.Results, tokens, truncated, tokenized, results.Queued, results.Computed);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _queue.DisposeAsync();

    private float[][] Compute(IReadOnlyList<IReadOnlyList<Item>> groups)
    {
        float[][] results = [.. groups.Select(group => new float[group.Count])];
        // Pairs of one query stand together: of a causal model what they begin with is computed once.
        List<(int Group, int First)> places = [];
        List<IReadOnlyList<TokenPair>> queries = [];
        for (int g = 0; g < groups.Count; g++)
        {
            for (int first = 0, end; first < groups[g].Count; first = end)
            {
                for (end = first + 1; end < groups[g].Count && groups[g][end].Query == groups[g][first].Query;) end++;
                places.Add((g, first));
                queries.Add([.. groups[g].Skip(first).Take(end - first).Select(static item => item.Pair)]);
            }
        }

        _encoder.Score(queries, (query, scores) => scores.CopyTo(results[places[query].Group], places[query].First), null);
        return results;
    }

    private readonly record struct Item(TokenPair Pair, int Query);
}
