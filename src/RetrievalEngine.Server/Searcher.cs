using System;
using System.Collections.Generic;
using System.Linq;
using System.Numerics;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Indexing;
using RetrievalEngine.Search;

namespace RetrievalEngine.Server;

/// <summary>Searches for many callers at once: queries that come while the device is busy share the next pass over the vectors. Safe for concurrent use.</summary>
internal sealed class Searcher : IAsyncDisposable
{
    private const int QueriesTogether = 64, MostWaiting = 1 << 16;

    private readonly DenseIndex _index;
    private readonly BatchQueue<Item, RankedQuery> _queue;

    /// <summary>Takes turns on <paramref name="device"/>.</summary>
    public Searcher(DenseIndex index, SemaphoreSlim device)
    {
        _index = index;
        _queue = new BatchQueue<Item, RankedQuery>(Compute, static _ => 1, QueriesTogether, MostWaiting, device);
    }

    /// <summary>What the index says of itself.</summary>
    public IndexManifest Manifest => _index.Manifest;

    /// <summary>The rows of a filter.</summary>
    public RowSet RowsOf(IReadOnlySet<string> ids, CancellationToken cancellation) => _index.RowsOf(ids, cancellation);

    /// <summary>The best <paramref name="depth"/> documents for each of <paramref name="vectors"/>.</summary>
    /// <exception cref="RequestException">The server is busy, stops or fails.</exception>
    public async Task<RankedQuery[]> SearchAsync(IReadOnlyList<float[]> vectors, int depth, RankOptions options, CancellationToken cancellation) =>
        (await _queue.RunAsync([.. vectors.Select(vector => new Item(vector, depth, options))], cancellation).ConfigureAwait(false)).Results;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _queue.DisposeAsync();

    // Who wants ten does not wait for the lists of who wants a million.
    private RankedQuery[][] Compute(IReadOnlyList<IReadOnlyList<Item>> groups) =>
        MixedBatch.Compute(groups, static item => (item.Options, BitOperations.Log2((uint)item.Depth) / 4), (kind, items) =>
        {
            string[] ids = Array.ConvertAll(items, static _ => "");
            float[] vectors = [.. items.SelectMany(static item => item.Vector)];
            return _index.Rank(ids, vectors, items.Max(static item => item.Depth), kind.Options)
                .Select((query, i) => query.Hits.Count <= items[i].Depth ? query : query with { Hits = [.. query.Hits.Take(items[i].Depth)] });
        });

    private readonly record struct Item(float[] Vector, int Depth, RankOptions Options);
}
