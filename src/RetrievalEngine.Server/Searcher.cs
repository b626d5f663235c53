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
        Rows = index.LiveRows.LongCount();
        _index = index;
        _queue = new BatchQueue<Item, RankedQuery>(Compute, static _ => 1, QueriesTogether, MostWaiting, device);
    }

    /// <summary>What the index says of itself.</summary>
    public IndexManifest Manifest => _index.Manifest;

    /// <summary>Documents in it.</summary>
    public long Rows { get; }

    /// <summary>The rows of a filter.</summary>
    public RowSet RowsOf(IReadOnlySet<string> ids, CancellationToken cancellation) => _index.RowsOf(ids, cancellation);

    /// <summary>The best <paramref name="depth"/> documents for each of <paramref name="vectors"/>.</summary>
    /// <exception cref="RequestException">The server is busy, stops or fails.</exception>
    public async Task<RankedQuery[]> SearchAsync(IReadOnlyList<float[]> vectors, int depth, RankOptions options, CancellationToken cancellation) =>
        (await _queue.RunAsync([.. vectors.Select(vector => new Item(vector, depth, options))], cancellation).ConfigureAwait(false)).Results;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _queue.DisposeAsync();

    private RankedQuery[][] Compute(IReadOnlyList<IReadOnlyList<Item>> groups)
    {
        RankedQuery[][] results = [.. groups.Select(group => new RankedQuery[group.Count])];
        // Who wants ten does not wait for the lists of who wants a million.
        foreach (IGrouping<(RankOptions Options, int), (Item Item, int Group, int At)> same in groups
            .SelectMany((group, g) => group.Select((item, i) => (Item: item, Group: g, At: i))).GroupBy(entry => (entry.Item.Options, BitOperations.Log2((uint)entry.Item.Depth) / 4)))
        {
            (Item Item, int Group, int At)[] entries = [.. same];
            float[] vectors = [.. entries.SelectMany(entry => entry.Item.Vector)];
            string[] ids = [.. entries.Select(static _ => "")];
            int i = 0;
            foreach (RankedQuery query in _index.Rank(ids, vectors, entries.Max(entry => entry.Item.Depth), same.Key.Options))
            {
                (Item item, int group, int at) = entries[i++];
                results[group][at] = query.Hits.Count <= item.Depth ? query : query with { Hits = [.. query.Hits.Take(item.Depth)] };
            }
        }

        return results;
    }

    private readonly record struct Item(float[] Vector, int Depth, RankOptions Options);
}
