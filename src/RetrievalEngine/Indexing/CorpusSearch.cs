using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;
using RetrievalEngine.Search;

namespace RetrievalEngine.Indexing;

/// <summary>
/// Exact search in a corpus that no index is made of: passages are encoded as they are read, scored, and their vectors dropped. Memory holds the ids, the best
/// documents of each query, and the vectors of some passages; nothing is written.
/// </summary>
public static class CorpusSearch
{
    /// <summary>Passages that are encoded and scored together.</summary>
    public const int DefaultChunk = 4096;

    /// <summary>
    /// The best <paramref name="depth"/> documents of each query, as <see cref="DenseIndex.Rank"/> would find them in an index of the same vectors.
    /// </summary>
    /// <param name="backend">What scores.</param>
    /// <param name="encoder">The model, on the same backend.</param>
    /// <param name="passages">Ids, unique, and texts that <see cref="EncodingContract.FormatPassage"/> has made; read once.</param>
    /// <param name="queryIds">Ids of the queries.</param>
    /// <param name="queries">Their vectors [Q, dimensions], as the encoder gave them.</param>
    /// <param name="depth">Documents a query, at most.</param>
    /// <param name="options">Which documents; prefixes and codes are for indexes.</param>
    /// <param name="chunk">Passages that are encoded and scored together; the result does not depend on it but for what encoding does.</param>
    /// <param name="progress">Told after each chunk.</param>
    /// <param name="cancellation">Stops between two batches of passages.</param>
    /// <exception cref="InputException">A passage cannot be encoded, or more results are asked for than memory is meant to hold.</exception>
    public static IReadOnlyList<RankedQuery> Rank(IBackend backend, TextEncoder encoder, IEnumerable<(string Id, string Text)> passages, IReadOnlyList<string> queryIds,
        float[] queries, int depth, RankOptions? options = null, int chunk = DefaultChunk, IProgress<ProgressUpdate>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(encoder);
        ArgumentNullException.ThrowIfNull(passages);
        ArgumentNullException.ThrowIfNull(queryIds);
        ArgumentNullException.ThrowIfNull(queries);
        ArgumentOutOfRangeException.ThrowIfLessThan(depth, 1);
        options ??= new RankOptions();
        if (options.PrefixDimensions is not null || options.Scan == ScanKind.Codes)
            throw new ArgumentException("prefixes and codes are searched in an index", nameof(options));
        int dimensions = encoder.Contract.Dimensions, count = queryIds.Count;
        bool scales = encoder.Contract is { Similarity: Similarity.Cosine, Normalize: false };
        float[] wanted = [.. queries];
        if (scales) UnitLength.Scale(wanted, dimensions);
        // One more, where the query's own document may be among the best.
        int k = options.ExcludeSelf && depth < int.MaxValue ? depth + 1 : depth;
        if (k > (1 << 20) || (long)count * k > 1 << 28)
            throw new InputException($"{count} queries with {depth} documents each are more than a search without an index keeps in memory; ask for fewer, or build an index");

        List<string> ids = [];
        using Arena arena = new(backend);
        Tensor queriesIn = arena.Allocate(new Shape(count, dimensions)), scores = arena.Allocate(new Shape(count, k));
        Tensor rows = arena.Allocate(new Shape(count, k), DType.I64), block = arena.Allocate(new Shape(chunk, dimensions));
        backend.Upload<float>(wanted, queriesIn);
        using IEnumerator<(string Id, string Text)[]> chunks = passages.Where(p => options.Filter is not { } some || some.Contains(p.Id)).Chunk(chunk).GetEnumerator();
        Task<(string[] Ids, TokenizedTexts Texts)?> next = PrepareAsync(encoder, chunks, cancellation);
        try
        {
            while (next.GetAwaiter().GetResult() is { } part)
            {
                next = PrepareAsync(encoder, chunks, cancellation);
                float[] vectors = encoder.Encode(part.Texts, cancellation);
                if (scales) UnitLength.Scale(vectors, dimensions);
                Tensor some = block.Slice(0, part.Ids.Length);
                backend.Upload<float>(vectors, some);
                backend.ScoreTopK(queriesIn, some, default, default, ids.Count, scores, rows, merge: ids.Count > 0);
                ids.AddRange(part.Ids);
                progress?.Report(new ProgressUpdate("encode and search", ids.Count, 0, "passages"));
            }
        }
        finally
        {
            // The reader is not disposed while it is read.
            next.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).Wait(CancellationToken.None);
        }

        float[] bestScores = new float[count * k];
        long[] bestRows = new long[bestScores.Length];
        if (ids.Count > 0)
        {
            backend.Download(scores, MemoryMarshal.AsBytes(bestScores.AsSpan()));
            backend.Download(rows, MemoryMarshal.AsBytes(bestRows.AsSpan()));
        }
        else Array.Fill(bestRows, -1);

        return [.. queryIds.Select((id, q) => new RankedQuery(id, [.. Enumerable.Range(q * k, k)
            .Where(i => bestRows[i] >= 0 && !(bestScores[i] < options.ScoreThreshold) && !(options.ExcludeSelf && ids[(int)bestRows[i]] == id))
            .Take(depth).Select(i => new DenseHit(ids[(int)bestRows[i]], bestScores[i]))], SearchProof.Scanned, 0))];
    }

    /// <summary>Reads and tokenises the next passages while the model works on those before; null at the end.</summary>
    private static Task<(string[] Ids, TokenizedTexts Texts)?> PrepareAsync(TextEncoder encoder, IEnumerator<(string Id, string Text)[]> chunks,
        CancellationToken cancellation) => Task.Run<(string[], TokenizedTexts)?>(() =>
    {
        if (!chunks.MoveNext()) return null;
        string[] ids = [.. chunks.Current.Select(static p => p.Id)];
        return (ids, encoder.Tokenize([.. chunks.Current.Select(static p => p.Text)], EncodingSide.Passage, ids, cancellation));
    }, cancellation);
}
