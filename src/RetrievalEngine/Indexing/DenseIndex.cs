using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;
using RetrievalEngine.Search;
using RetrievalEngine.Text;

namespace RetrievalEngine.Indexing;

/// <summary>
/// An index folder opened for search: the flat index over its vectors, the document ids, and the model that queries must be encoded with.
/// </summary>
public sealed class DenseIndex : IDisposable
{
    private readonly IBackend _backend;
    private readonly IndexStore _store;
    private readonly Lazy<FlatIndex> _flat;

    private DenseIndex(IBackend backend, IndexStore store)
    {
        _backend = backend;
        _store = store;
        // With the first search: what the encoder of the queries takes of a device is not free any more by then.
        _flat = new Lazy<FlatIndex>(() => store.CreateIndex(backend), LazyThreadSafetyMode.PublicationOnly);
    }

    /// <summary>What the folder says of itself.</summary>
    public IndexManifest Manifest => _store.Manifest;

    /// <summary>The rows that count, in order; their numbers are those of <see cref="Id"/> and <see cref="Score"/>.</summary>
    public IEnumerable<long> LiveRows => _store.LiveRows;

    /// <summary>
    /// Opens <paramref name="folder"/>; with <paramref name="verify"/> its checksums are compared first, which reads every byte once.
    /// </summary>
    /// <exception cref="InputException">It is no index, or it is damaged.</exception>
    public static DenseIndex Open(IBackend backend, string folder, bool verify = true, IProgress<ProgressUpdate>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(backend);
        IndexStore store = IndexStore.Open(folder);
        try
        {
            if (verify) store.Verify(progress, cancellation);
            return new DenseIndex(backend, store);
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The encoder for queries: the model and adapter that the index names, or those given, after their hashes were compared with the index's; texts
    /// are treated as the index's contract says.
    /// </summary>
    /// <exception cref="InputException">A folder is missing, or holds another model than that of the index.</exception>
    public TextEncoder LoadEncoder(string? modelFolder = null, string? adapterFolder = null, IProgress<ProgressUpdate>? progress = null,
        int batchTokens = TextEncoder.DefaultBatchTokens, CancellationToken cancellation = default)
    {
        EncodingContract contract = Manifest.Contract
            ?? throw new InputException($"the index {_store.Folder} was imported and names no model for queries; search it with --query-embeddings");
        string model = modelFolder ?? Existing(Manifest.ModelPath ?? "no model", "--model");
        string? adapter = adapterFolder ?? (Manifest.AdapterPath is null ? null : Existing(Manifest.AdapterPath, "--adapter"));
        EncodingContract found = ContractResolver.WithHashesOf(contract, model, adapter, Tokenizer.Load(model), progress, cancellation);
        if (contract.Mismatch(found, $"the index {_store.Folder}", model) is { } mismatch)
            throw new InputException($"the index was made with another model: {mismatch}");
        return TextEncoder.Load(_backend, model, adapter, contract, batchTokens);
    }

    /// <summary>The vectors of a folder of query embeddings, if they were made under the contract of this index.</summary>
    /// <exception cref="InputException">They were not; the message names what differs.</exception>
    public float[] ReadQueries(EmbeddingStore queries, string queriesFolder)
    {
        ArgumentNullException.ThrowIfNull(queries);
        if (queries.Manifest.Side != EncodingSide.Query)
            throw new InputException($"{queriesFolder} holds passage embeddings; encode the queries with --query");
        EncodingContract contract = Manifest.Contract
            ?? throw new InputException($"the index {_store.Folder} was imported and does not say what made its vectors; give the queries as a file of vectors");
        if (contract.Mismatch(queries.Manifest.Contract, $"the index {_store.Folder}", queriesFolder) is { } mismatch) throw new InputException(mismatch);
        float[] vectors = new float[queries.Rows * queries.Dimensions];
        queries.Read(0, vectors);
        return vectors;
    }

    /// <summary>Query vectors from elsewhere, of which only their length is known to fit.</summary>
    /// <exception cref="InputException">They have another length, or hold a number that is not finite.</exception>
    public float[] ReadQueries(VectorSource queries)
    {
        ArgumentNullException.ThrowIfNull(queries);
        if (queries.Dimensions != Manifest.Dimensions)
            throw new InputException($"{queries.Name} holds vectors of {queries.Dimensions} numbers but the index {_store.Folder} of {Manifest.Dimensions}");
        float[] vectors = new float[queries.Rows * queries.Dimensions];
        queries.Read(0, vectors);
        int bad = Array.FindIndex(vectors, static x => !float.IsFinite(x));
        return bad < 0 ? vectors : throw new InputException($"{queries.Name}: row {bad / queries.Dimensions} holds a number that is not finite");
    }

    /// <summary>
    /// The best <paramref name="depth"/> documents of each query, in the order of <paramref name="queryIds"/>, from <paramref name="queries"/> [Q,
    /// dimensions] as the encoder gave them. Scores are cosines where the contract compares so, minus squared distances for l2, else inner products; equal
    /// ones come in row order. Computed while it is enumerated.
    /// </summary>
    /// <param name="queryIds">Ids of the queries.</param>
    /// <param name="queries">Their vectors.</param>
    /// <param name="depth">Documents a query, at most.</param>
    /// <param name="options">Which documents, and how they are looked for.</param>
    /// <param name="progress">Told after each block of vectors.</param>
    /// <param name="cancellation">Stops between two blocks.</param>
    /// <exception cref="InputException">The options do not fit the index.</exception>
    public IEnumerable<RankedQuery> Rank(IReadOnlyList<string> queryIds, ReadOnlyMemory<float> queries, int depth, RankOptions? options = null,
        IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(queryIds);
        ArgumentOutOfRangeException.ThrowIfLessThan(depth, 1);
        CheckQueries(queryIds, queries);
        SearchOptions search = OptionsOf(options ??= new RankOptions(), progress, cancellation);
        long[] own = options.ExcludeSelf ? OwnRows(queryIds, cancellation) : [];
        int dimensions = Manifest.Dimensions, k = (int)Math.Clamp(_store.StoredRows, 1, depth), most = _flat.Value.QueriesTogether(options.ScoreThreshold is null ? k : Math.Min(k, 1 << 10));
        for (int first = 0; first < queryIds.Count; first += most)
        {
            int count = Math.Min(most, queryIds.Count - first);
            SearchOptions some = options.ExcludeSelf ? search with { ExcludedRows = own.AsMemory(first, count) } : search;
            ReadOnlyMemory<float> part = queries.Slice(first * dimensions, count * dimensions);
            if (options.ScoreThreshold is { } threshold && depth >= _store.StoredRows)
            {
                RangeResults range = _flat.Value.SearchRange(part.Span, threshold, some, cancellation);
                for (int q = 0; q < count; q++) yield return new RankedQuery(queryIds[first + q], Hits(range.RowsOf(q), range.ScoresOf(q)), range.ProofOf(q), 0);
                continue;
            }

            SearchResults found = _flat.Value.Search(part.Span, k, some, cancellation);
            for (int q = 0; q < count; q++)
            {
                int wanted = found.ScoresOf(q).Length;
                while (options.ScoreThreshold is { } least && wanted > 0 && found.ScoresOf(q)[wanted - 1] < least) wanted--;
                yield return new RankedQuery(queryIds[first + q], Hits(found.RowsOf(q)[..wanted], found.ScoresOf(q)[..wanted]), found.Proofs[q], found.Candidates[q]);
            }
        }
    }

    /// <summary>The rows of the documents with <paramref name="ids"/>; ids that are not there are no matter. Any thread may ask.</summary>
    public RowSet RowsOf(IReadOnlySet<string> ids, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return new RowSet(_store.StoredRows, _store.Find(ids.Contains, cancellation).Values);
    }

    /// <summary>The id of the vector in <paramref name="row"/>.</summary>
    public string Id(long row) => _store.Id(row);

    /// <summary>
    /// The score of <paramref name="row"/> for one query vector, as <see cref="Rank"/> gives it up to rounding. Any thread may ask.
    /// </summary>
    public float Score(ReadOnlySpan<float> query, long row)
    {
        float[] scaled = query.ToArray(), vector = new float[query.Length];
        if (Manifest.Metric == Metric.Cosine && !Manifest.ComesNormalized) UnitLength.Scale(scaled);
        _store.Read(row, vector);
        double sum = 0;
        for (int i = 0; i < vector.Length; i++)
        {
            double difference = (double)scaled[i] - vector[i];
            sum += Manifest.Metric == Metric.L2 ? -difference * difference : (double)scaled[i] * vector[i];
        }

        return (float)sum;
    }

    /// <inheritdoc/>
    public void Dispose() => _store.Dispose();

    private void CheckQueries(IReadOnlyList<string> queryIds, ReadOnlyMemory<float> queries)
    {
        if (queries.Length != (long)queryIds.Count * Manifest.Dimensions)
            throw new ArgumentException($"{queryIds.Count} queries of {Manifest.Dimensions} dimensions are not {queries.Length} numbers", nameof(queries));
    }

    private SearchOptions OptionsOf(RankOptions options, IProgress<ProgressUpdate>? progress, CancellationToken cancellation)
    {
        if (options.PrefixDimensions is { } prefix && prefix > Manifest.Dimensions)
            throw new InputException($"a prefix of {prefix} dimensions is longer than the {Manifest.Dimensions} of the index {_store.Folder}");
        if (options.Scan == ScanKind.Codes && !(Manifest.HasCodes && _backend.FreeBytes is null))
            throw new InputException($"the index {_store.Folder} has no int8 codes that {_backend.Name} scans; build it with --scan-dtype int8 and search on the CPU");
        return new SearchOptions
        {
            Filter = options.Rows ?? (options.Filter is { } ids ? RowsOf(ids, cancellation) : null),
            Scan = options.Scan,
            PrefixDimensions = options.PrefixDimensions,
            RescoreMultiplier = options.RescoreMultiplier,
            Progress = progress,
        };
    }

    /// <summary>For each query the row of the document that has its id, or -1.</summary>
    private long[] OwnRows(IReadOnlyList<string> queryIds, CancellationToken cancellation)
    {
        HashSet<string> wanted = new(queryIds, StringComparer.Ordinal);
        Dictionary<string, long> rows = _store.Find(wanted.Contains, cancellation);
        return [.. queryIds.Select(id => rows.GetValueOrDefault(id, -1))];
    }

    private DenseHit[] Hits(ReadOnlySpan<long> rows, ReadOnlySpan<float> scores)
    {
        int count = rows.IndexOf(-1) is >= 0 and var end ? end : rows.Length;
        DenseHit[] hits = new DenseHit[count];
        for (int i = 0; i < count; i++) hits[i] = new DenseHit(_store.Id(rows[i]), scores[i]);
        return hits;
    }

    private string Existing(string path, string option) =>
        Directory.Exists(path)
            ? path
            : throw new InputException($"the index {_store.Folder} names {path}, which is not there; say where it is with {option}");
}
