using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Search;

/// <summary>
/// Exact search over vectors that lie in one or more blocks of rows: every row is scored, nothing is approximated unless it is asked for. Row numbers count
/// through the shards in their order. Ties: the lower row comes first. A query's result depends on nothing but itself, the rows and the options: not on other
/// queries, threads or shards. Safe for concurrent use; single queries that come at the same time share a scan. It does not own the shards.
/// </summary>
public sealed partial class FlatIndex
{
    /// <summary>Queries scored in one pass over rows that are at hand on a device: enough to make the pass a matrix product.</summary>
    private const int QueryBatch = 1024;

    /// <summary>Results of one pass, over all its queries: fewer queries go together where each wants many.</summary>
    private const int ResultBatch = 1 << 24;

    /// <summary>Bytes of host rows between two looks at the cancellation; long enough that a pass is not felt.</summary>
    private const long PieceBytes = 128 << 20, RowsPerTask = 4096;

    private readonly IBackend _backend;
    private readonly VectorShard[] _shards;
    private readonly VectorShard[] _originals;
    private readonly VectorShard[] _codes;
    private readonly long[] _firstRows;
    private readonly int _queryBatch;
    private readonly double _longest;
    private readonly SearchQueue _queue;
    private Tuple<int, float[]>? _prefixSquares;
    private volatile bool _codesLose;

    /// <summary>Searches <paramref name="shards"/>, each [rows, <paramref name="dimensions"/>] of a float type, I8 with scales, or bits with scales.</summary>
    /// <param name="backend">What searches.</param>
    /// <param name="dimensions">Elements of a vector.</param>
    /// <param name="shards">The rows, on the backend or on the host.</param>
    /// <param name="metric">How they are compared. For cosines rows have length 1 or 0, queries any; for distances the shards' terms hold minus half the squared
    /// lengths.</param>
    /// <param name="originals">The same rows in host memory, from which candidates are scored; needed where <paramref name="shards"/> are on a device, for
    /// distances and prefixes.</param>
    /// <param name="codes">The same rows as <see cref="ScanCodes"/> has them, whose terms are the errors; none where a search always reads the vectors. Not for
    /// distances, nor on a device.</param>
    /// <exception cref="ArgumentException">A shard has another shape or type.</exception>
    public FlatIndex(IBackend backend, int dimensions, IReadOnlyList<VectorShard> shards, Metric metric = Metric.InnerProduct,
        IReadOnlyList<VectorShard>? originals = null, IReadOnlyList<VectorShard>? codes = null)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(shards);
        ArgumentOutOfRangeException.ThrowIfLessThan(dimensions, 1);
        _backend = backend;
        _shards = [.. shards];
        _originals = [.. originals ?? shards];
        _codes = [.. codes ?? []];
        (Dimensions, Metric) = (dimensions, metric);
        foreach (VectorShard shard in _shards) Check(shard, nameof(shards));
        foreach (VectorShard shard in _originals) Check(shard, nameof(originals));
        foreach (VectorShard shard in _codes) Check(shard, nameof(codes));
        Rows = _shards.Sum(static shard => shard.Rows.Shape[0]);
        if (_originals.Sum(static shard => shard.Rows.Shape[0]) != Rows) throw new ArgumentException("they have not as many rows", nameof(originals));
        if (_codes.Length > 0 && (_codes.Sum(static shard => shard.Rows.Shape[0]) != Rows || metric == Metric.L2))
            throw new ArgumentException("they have not as many rows, or the metric is that of distances", nameof(codes));
        if (_codes.Length > 0 && backend.FreeBytes is not null)
            throw new ArgumentException("codes are scanned on the host; a device bounds the scores of its rows by itself", nameof(codes));
        _firstRows = new long[_originals.Length];
        for (int i = 1; i < _firstRows.Length; i++) _firstRows[i] = _firstRows[i - 1] + _originals[i - 1].Rows.Shape[0];
        // Rows that come to a device from the host in every pass, and rows on the host, are passed over once for all queries.
        _queryBatch = Array.Exists(_shards, static shard => shard.Rows.Memory is CpuMemory) ? ResultBatch : QueryBatch;
        _longest = metric == Metric.L2 ? Longest() : 0;
        _queue = new SearchQueue(dimensions, SearchTogether);
    }

    /// <summary>Elements of a vector.</summary>
    public int Dimensions { get; }

    /// <summary>How queries and rows are compared.</summary>
    public Metric Metric { get; }

    /// <summary>Vectors in all shards, those included that are not searched.</summary>
    public long Rows { get; }

    /// <summary>Bytes of memory that the process may use, mapped files included: more than half of it is not kept of the rows.</summary>
    internal long MemoryBytes { get; init; } = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>Blocks of rows that a search passes over one after the other.</summary>
    public int Blocks => _shards.Length;

    /// <summary>
    /// The best <paramref name="k"/> rows of each of <paramref name="queries"/> [Q, dimensions]. Scores are inner products, cosines, or for
    /// <see cref="Metric.L2"/> minus the squared distances.
    /// </summary>
    /// <param name="queries">Finite numbers.</param>
    /// <param name="k">Results of a query; where there are fewer rows, the rest are row -1 with score -∞.</param>
    /// <param name="options">What may be found and how; all rows exactly, where null.</param>
    /// <param name="cancellation">Stops between two blocks of rows.</param>
    /// <exception cref="ArgumentException">Queries or options do not fit the index.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public SearchResults Search(ReadOnlySpan<float> queries, int k, SearchOptions? options = null, CancellationToken cancellation = default)
    {
        options ??= SearchOptions.Default;
        ArgumentOutOfRangeException.ThrowIfLessThan(k, 1);
        int count = CheckQueries(queries, options);
        if ((long)count * k > Array.MaxLength / sizeof(long)) throw new ArgumentException($"{count} queries with {k} results each are too many at once", nameof(k));
        return count <= SearchQueue.MostQueries
            ? _queue.Search(queries, k, options, cancellation)
            : SearchTogether(queries, k, options, cancellation.ThrowIfCancellationRequested);
    }

    /// <summary>How many queries that want <paramref name="k"/> results each are scored in one pass.</summary>
    public int QueriesTogether(int k) => Math.Clamp(ResultBatch / k, 1, _queryBatch);

    private int CheckQueries(ReadOnlySpan<float> queries, SearchOptions options)
    {
        if (queries.Length % Dimensions != 0)
            throw new ArgumentException($"{queries.Length} numbers are no queries of {Dimensions} each", nameof(queries));
        int count = queries.Length / Dimensions;
        if (options.Filter is { } filter && filter.Bound != Rows)
            throw new ArgumentException($"the filter is a set of rows below {filter.Bound} but there are {Rows}", nameof(options));
        if (options.ExcludedRows.Length != 0 && options.ExcludedRows.Length != count)
            throw new ArgumentException($"{options.ExcludedRows.Length} rows to exclude are not one for each of {count} queries", nameof(options));
        if (options.PrefixDimensions is { } prefix && (prefix < 1 || prefix > Dimensions))
            throw new ArgumentException($"a prefix of {prefix} elements is none of vectors of {Dimensions}", nameof(options));
        if (options.Scan == ScanKind.Codes && (_codes.Length == 0 || options.PrefixDimensions is not null))
            throw new ArgumentException("there are no codes to scan, or it is prefixes that are to be scanned", nameof(options));
        if (options.RescoreMultiplier < 1) throw new ArgumentException($"{options.RescoreMultiplier} candidates for each result are none", nameof(options));
        return count;
    }

    private SearchResults SearchTogether(ReadOnlySpan<float> queries, int k, SearchOptions options, Action check)
    {
        int count = queries.Length / Dimensions;
        SearchResults results = new(count, k);
        if (Rows == 0 || count == 0) return results;
        // One row more than wanted, where one of them may be the excluded one.
        bool excludes = !options.ExcludedRows.Span.TrimStart(-1L).IsEmpty;
        int wanted = (int)Math.Min((long)k + (excludes ? 1 : 0), Rows);
        int most = QueriesTogether(options.PrefixDimensions is null ? wanted : (int)Math.Min((long)wanted * options.RescoreMultiplier, Rows));
        using Pass pass = new(this, options, check);
        for (int first = 0; first < count; first += most)
        {
            int batch = Math.Min(most, count - first);
            float[] part = queries.Slice(first * Dimensions, batch * Dimensions).ToArray();
            if (Metric == Metric.Cosine) UnitLength.Scale(part, Dimensions);
            SearchResults found = pass.Search(part, wanted);
            for (int q = 0; q < batch; q++)
            {
                if (excludes) Exclude(found, q, options.ExcludedRows.Span[first + q]);
                results.Take(first + q, found, q);
            }
        }

        return results;
    }

    /// <summary>Removes a row from the results of a query; later ones move up.</summary>
    private static void Exclude(SearchResults found, int query, long row)
    {
        Span<long> rows = found.Rows.AsSpan(query * found.K, found.K);
        Span<float> scores = found.Scores.AsSpan(query * found.K, found.K);
        int at = row < 0 ? -1 : rows.IndexOf(row);
        if (at < 0) return;
        rows[(at + 1)..].CopyTo(rows[at..]);
        scores[(at + 1)..].CopyTo(scores[at..]);
        (rows[^1], scores[^1]) = (-1, float.NegativeInfinity);
    }

    private void Check(VectorShard shard, string name)
    {
        Tensor rows = shard.Rows;
        int width = shard.IsBinary ? (Dimensions + 7) / 8 : Dimensions;
        bool isOfType = shard.IsBinary ? rows.DType == DType.I8 && rows.Memory is CpuMemory : rows.DType.IsFloat() || rows.DType == DType.I8;
        if (rows.IsEmpty || rows.Shape.Rank != 2 || rows.Shape[1] != width || !isOfType)
            throw new ArgumentException($"a shard is {rows} but must be [rows, {width}] {(shard.IsBinary ? "I8 on the host" : "of a float type or I8")}", name);
        if (!shard.Scales.IsEmpty && shard.Scales.Count != rows.Shape[0]) throw new ArgumentException($"scales of {rows} are {shard.Scales}", name);
        bool hasTerms = !shard.Terms.IsEmpty;
        if (hasTerms ? shard.Terms.Count != rows.Shape[0] || shard.Terms.DType != DType.F32 : (Metric == Metric.L2 && name == "shards") || name == "codes")
            throw new ArgumentException($"terms of {rows} are {shard.Terms} but must be F32 [{rows.Shape[0]}]", name);
    }

    /// <summary>The largest length of a row, from the terms of distances.</summary>
    private double Longest()
    {
        double most = 0;
        foreach (VectorShard shard in _shards)
        {
            foreach (float term in Download<float>(shard.Terms))
            {
                if (!float.IsNaN(term)) most = Math.Max(most, -2.0 * term);
            }
        }

        return Math.Sqrt(most) * (1 + 1e-6);
    }

    /// <summary>Σ x² over the first <paramref name="width"/> elements of every row; those of the last width are kept.</summary>
    private float[] PrefixSquares(int width)
    {
        if (Volatile.Read(ref _prefixSquares) is { } kept && kept.Item1 == width) return kept.Item2;
        float[] squares = new float[Rows];
        for (int i = 0; i < _originals.Length; i++)
        {
            VectorShard shard = _originals[i];
            long first = _firstRows[i];
            Parallel.For(0, (shard.Rows.Shape[0] + RowsPerTask - 1) / RowsPerTask, task =>
            {
                float[] row = new float[width];
                for (long at = task * RowsPerTask; at < Math.Min((task + 1) * RowsPerTask, shard.Rows.Shape[0]); at++)
                {
                    shard.Read(at, row);
                    squares[first + at] = (float)UnitLength.SquaredNorm(row);
                }
            });
        }

        Volatile.Write(ref _prefixSquares, Tuple.Create(width, squares));
        return squares;
    }

    private T[] Download<T>(Tensor tensor)
        where T : unmanaged
    {
        T[] values = new T[tensor.Count];
        _backend.Download(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
