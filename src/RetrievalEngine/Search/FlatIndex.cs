using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Search;

/// <summary>
/// Exact search by inner product over vectors that lie in one or more blocks of rows: every row is scored, nothing is approximated.
/// Row numbers count through the shards in their order. Ties: the lower row comes first. It does not own the shards. Safe for concurrent use.
/// </summary>
public sealed class FlatIndex
{
    /// <summary>Queries scored in one pass over rows that are at hand: enough to make the pass a matrix product.</summary>
    private const int QueryBatch = 1024;

    /// <summary>Results of one pass, over all its queries: fewer queries go together where each wants many.</summary>
    private const int ResultBatch = 1 << 24;

    private readonly IBackend _backend;
    private readonly VectorShard[] _shards;
    private readonly int _queryBatch;

    /// <summary>Searches <paramref name="shards"/>, each [rows, <paramref name="dimensions"/>] of a float type or I8 with scales.</summary>
    /// <exception cref="ArgumentException">A shard has another shape or type.</exception>
    public FlatIndex(IBackend backend, int dimensions, IReadOnlyList<VectorShard> shards)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(shards);
        ArgumentOutOfRangeException.ThrowIfLessThan(dimensions, 1);
        _backend = backend;
        _shards = [.. shards];
        Dimensions = dimensions;
        foreach ((Tensor rows, _) in _shards)
        {
            if (rows.IsEmpty || rows.Shape.Rank != 2 || rows.Shape[1] != dimensions || !(rows.DType.IsFloat() || rows.DType == DType.I8))
                throw new ArgumentException($"a shard is {rows} but must be [rows, {dimensions}] of a float type or I8", nameof(shards));
            Rows += rows.Shape[0];
        }

        // Rows that come to a device from the host in every pass come once for all queries.
        _queryBatch = backend.FreeBytes is not null && Array.Exists(_shards, static shard => shard.Rows.Memory is CpuMemory) ? ResultBatch : QueryBatch;
    }

    /// <summary>Elements of a vector.</summary>
    public int Dimensions { get; }

    /// <summary>Vectors in all shards.</summary>
    public long Rows { get; }

    /// <summary>Blocks of rows that a search passes over one after the other.</summary>
    public int Blocks => _shards.Length;

    /// <summary>
    /// The best <paramref name="k"/> rows of each query: <paramref name="scores"/> [Q, k] descending and <paramref name="rows"/> [Q, k], from
    /// <paramref name="queries"/> [Q, dimensions]. Where there are fewer than k rows, the rest are row -1 with score -∞. A query's result does not
    /// depend on the other queries.
    /// </summary>
    /// <exception cref="ArgumentException">A span has not the length that Q and k ask for.</exception>
    /// <exception cref="OperationCanceledException">Stopped; the spans hold nothing of use.</exception>
    public void Search(ReadOnlySpan<float> queries, int k, Span<float> scores, Span<long> rows, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        if (queries.Length % Dimensions != 0)
            throw new ArgumentException($"{queries.Length} numbers are no queries of {Dimensions} each", nameof(queries));
        int count = queries.Length / Dimensions;
        long results = (long)count * k;
        if (scores.Length != results || rows.Length != results)
            throw new ArgumentException(
                $"{count} queries with {k} results each need {results} scores and rows, not {scores.Length} and {rows.Length}");

        int most = QueriesTogether(k);
        for (int first = 0; first < count; first += most)
        {
            int batch = Math.Min(most, count - first);
            ReadOnlySpan<float> part = queries.Slice(first * Dimensions, batch * Dimensions);
            SearchBatch(part, k, scores.Slice(first * k, batch * k), rows.Slice(first * k, batch * k), cancellation);
        }
    }

    /// <summary>How many queries that want <paramref name="k"/> results each are scored in one pass.</summary>
    public int QueriesTogether(int k) => Math.Clamp(ResultBatch / k, 1, _queryBatch);

    private void SearchBatch(ReadOnlySpan<float> queries, int k, Span<float> scores, Span<long> rows, CancellationToken cancellation)
    {
        int count = queries.Length / Dimensions;
        // Lists longer than the index would only carry the filling that is written below.
        int kept = (int)Math.Min(k, Rows);
        if (kept > 0)
        {
            using Arena arena = new(_backend);
            Tensor queriesIn = arena.Allocate(new Shape(count, Dimensions));
            Tensor scoresOut = arena.Allocate(new Shape(count, kept));
            Tensor rowsOut = arena.Allocate(new Shape(count, kept), DType.I64);
            _backend.Upload(MemoryMarshal.AsBytes(queries), queriesIn);
            long firstRow = 0;
            for (int i = 0; i < _shards.Length; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                _backend.ScoreTopK(queriesIn, _shards[i].Rows, _shards[i].Scales, default, firstRow, scoresOut, rowsOut, merge: i > 0);
                firstRow += _shards[i].Rows.Shape[0];
            }

            if (kept == k)
            {
                _backend.Download(scoresOut, MemoryMarshal.AsBytes(scores));
                _backend.Download(rowsOut, MemoryMarshal.AsBytes(rows));
                return;
            }

            Spread(Download<float>(scoresOut), kept, scores, k);
            Spread(Download<long>(rowsOut), kept, rows, k);
        }

        for (int q = 0; q < count; q++)
        {
            scores.Slice(q * k + kept, k - kept).Fill(float.NegativeInfinity);
            rows.Slice(q * k + kept, k - kept).Fill(-1);
        }
    }

    private T[] Download<T>(Tensor tensor)
        where T : unmanaged
    {
        T[] values = new T[tensor.Count];
        _backend.Download(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private static void Spread<T>(ReadOnlySpan<T> lists, int kept, Span<T> destination, int k)
    {
        for (int q = 0; q * kept < lists.Length; q++) lists.Slice(q * kept, kept).CopyTo(destination[(q * k)..]);
    }
}
