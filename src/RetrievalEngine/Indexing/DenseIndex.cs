using System;
using System.Collections.Generic;
using System.IO;
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
        _flat = new Lazy<FlatIndex>(() => store.CreateIndex(backend));
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
            RequireSearchable(store.Manifest, folder);
            if (verify) store.Verify(progress, cancellation);
            return new DenseIndex(backend, store);
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <summary>What is kept and what is searched differ: distances and single bits have no scan yet, and another order of results would be a lie.</summary>
    private static void RequireSearchable(IndexManifest manifest, string folder)
    {
        if (manifest.Metric == Metric.L2)
            throw new InputException($"{folder}: an index of metric l2 is kept, checked and exported, but not searched by this version; inner_product and cosine are");
        if (manifest.Storage == VectorStorage.Binary)
            throw new InputException($"{folder}: an index of binary storage is kept, checked and exported, but not searched by this version; other storages are");
    }

    /// <summary>
    /// The encoder for queries: the model and adapter that the index names, or those given, after their hashes were compared with the index's; texts
    /// are treated as the index's contract says.
    /// </summary>
    /// <exception cref="InputException">A folder is missing, or holds another model than that of the index.</exception>
    public TextEncoder LoadEncoder(string? modelFolder = null, string? adapterFolder = null, IProgress<ProgressUpdate>? progress = null,
        CancellationToken cancellation = default)
    {
        EncodingContract contract = Manifest.Contract
            ?? throw new InputException($"the index {_store.Folder} was imported and names no model for queries; search it with --query-embeddings");
        string model = modelFolder ?? Existing(Manifest.ModelPath ?? "no model", "--model");
        string? adapter = adapterFolder ?? (Manifest.AdapterPath is null ? null : Existing(Manifest.AdapterPath, "--adapter"));
        EncodingContract found = ContractResolver.WithHashesOf(contract, model, adapter, Tokenizer.Load(model), progress, cancellation);
        if (contract.Mismatch(found, $"the index {_store.Folder}", model) is { } mismatch)
            throw new InputException($"the index was made with another model: {mismatch}");
        return TextEncoder.Load(_backend, model, adapter, contract);
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
    /// dimensions] as the encoder gave them. Scores are cosines where the contract compares so, else inner products; equal ones come in row order.
    /// Computed while it is enumerated.
    /// </summary>
    /// <param name="queryIds">Ids of the queries.</param>
    /// <param name="queries">Their vectors.</param>
    /// <param name="depth">Documents a query, at most.</param>
    /// <param name="excludeSelf">Leaves out the document that has the query's id, for collections whose queries are documents (ArguAna,
    /// Quora).</param>
    /// <param name="progress">Told after each batch of queries.</param>
    /// <param name="cancellation">Stops between two shards.</param>
    public IEnumerable<RankedQuery> Rank(IReadOnlyList<string> queryIds, ReadOnlyMemory<float> queries, int depth, bool excludeSelf = false,
        IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(queryIds);
        ArgumentOutOfRangeException.ThrowIfLessThan(depth, 1);
        // Deleted rows may be among the best, and so may the query's own.
        int dimensions = Manifest.Dimensions, k = (int)Math.Min(depth + _store.Deleted.Count + (excludeSelf ? 1 : 0), Math.Max(1, _store.StoredRows));
        if (queries.Length != (long)queryIds.Count * dimensions)
            throw new ArgumentException($"{queryIds.Count} queries of {dimensions} dimensions are not {queries.Length} numbers", nameof(queries));
        int most = _flat.Value.QueriesTogether(k);
        for (int first = 0; first < queryIds.Count; first += most)
        {
            int count = Math.Min(most, queryIds.Count - first);
            float[] batch = queries.Slice(first * dimensions, count * dimensions).ToArray(), scores = new float[count * k];
            long[] rows = new long[count * k];
            ScaleToLengthOne(batch);
            _flat.Value.Search(batch, k, scores, rows, cancellation);
            progress?.Report(new ProgressUpdate("search", first + count, queryIds.Count, "queries"));
            for (int q = 0; q < count; q++)
            {
                string queryId = queryIds[first + q];
                yield return new RankedQuery(queryId, Hits(rows.AsSpan(q * k, k), scores.AsSpan(q * k, k), depth, excludeSelf ? queryId : null));
            }
        }
    }

    /// <summary>The id of the vector in <paramref name="row"/>.</summary>
    public string Id(long row) => _store.Id(row);

    /// <summary>
    /// The score of <paramref name="row"/> for one query vector, as <see cref="Rank"/> gives it up to rounding. Any thread may ask.
    /// </summary>
    public float Score(ReadOnlySpan<float> query, long row)
    {
        float[] scaled = query.ToArray(), vector = new float[query.Length];
        ScaleToLengthOne(scaled);
        _store.Read(row, vector);
        double sum = 0;
        for (int i = 0; i < vector.Length; i++) sum += (double)scaled[i] * vector[i];
        return (float)sum;
    }

    /// <inheritdoc/>
    public void Dispose() => _store.Dispose();

    private DenseHit[] Hits(ReadOnlySpan<long> rows, ReadOnlySpan<float> scores, int depth, string? excluded)
    {
        List<DenseHit> hits = new(rows.Length);
        for (int i = 0; i < rows.Length && rows[i] >= 0 && hits.Count < depth; i++)
        {
            if (_store.Deleted.Contains(rows[i])) continue;
            string id = _store.Id(rows[i]);
            if (id != excluded) hits.Add(new DenseHit(id, scores[i]));
        }

        return [.. hits];
    }

    /// <summary>For cosines each query is scaled to length 1, unless all come so.</summary>
    private void ScaleToLengthOne(Span<float> queries)
    {
        if (Manifest.Metric != Metric.Cosine || Manifest.ComesNormalized) return;
        for (int first = 0; first < queries.Length; first += Manifest.Dimensions) RowFormat.ScaleToLengthOne(queries.Slice(first, Manifest.Dimensions));
    }

    private string Existing(string path, string option) =>
        Directory.Exists(path)
            ? path
            : throw new InputException($"the index {_store.Folder} names {path}, which is not there; say where it is with {option}");
}
