using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Data;
using RetrievalEngine.Reranking;
using RetrievalEngine.Text;

namespace RetrievalEngine.Server;

/// <summary>Scores of passages for many callers at once. Safe for concurrent use.</summary>
internal sealed class PairScorer : IAsyncDisposable
{
    private readonly CrossEncoder _encoder;
    private readonly BatchQueue<TokenPair, float> _queue;

    /// <summary>Takes turns on <paramref name="device"/>; <paramref name="computed"/> is told the pairs and tokens of each batch.</summary>
    public PairScorer(CrossEncoder encoder, long mostQueuedTokens, SemaphoreSlim device, Action<int, long>? computed = null)
    {
        _encoder = encoder;
        _queue = new BatchQueue<TokenPair, float>(Compute, static pair => pair.Ids.Length, encoder.BatchTokens, mostQueuedTokens, device, computed);
    }

    /// <summary>The rules for pairs.</summary>
    public RerankContract Contract => _encoder.Contract;

    /// <summary>Pairs that wait.</summary>
    public int Waiting => _queue.Waiting;

    /// <summary>The head's output for <paramref name="query"/> with each of <paramref name="passages"/>.</summary>
    /// <exception cref="RequestException">A pair is too long and is not to be cut, or the server is busy, stops or fails.</exception>
    public async Task<PairScores> ScoreAsync(string query, IReadOnlyList<Document> passages, bool truncate, CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        TokenizedPairs pairs = _encoder.Tokenize(query, passages, cancellation);
        if (pairs.Truncated > 0 && !truncate)
            throw RequestException.Invalid($"{pairs.Truncated} of {passages.Count} texts have, with the query, more than the {Contract.MaxLength} tokens that the model takes; shorten them, or ask for \"truncate\": true");
        TimeSpan tokenized = Stopwatch.GetElapsedTime(start);
        BatchResults<float> results = await _queue.RunAsync([.. pairs.Pairs], cancellation).ConfigureAwait(false);
        return new PairScores(results.Results, pairs.Tokens, pairs.Truncated, tokenized, results.Queued, results.Computed);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _queue.DisposeAsync();

    private float[][] Compute(IReadOnlyList<IReadOnlyList<TokenPair>> groups)
    {
        float[][] scores = new float[groups.Count][];
        _encoder.Score(groups, (group, values) => scores[group] = values, null);
        return scores;
    }
}
