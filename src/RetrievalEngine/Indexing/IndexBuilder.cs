using System;
using System.Collections.Generic;
using System.Linq;
using System.Security.Cryptography;
using System.Threading;
using RetrievalEngine.Encoding;
using RetrievalEngine.Search;

namespace RetrievalEngine.Indexing;

/// <summary>Makes an index: of passage embeddings, or of a file of vectors.</summary>
public static class IndexBuilder
{
    /// <summary>
    /// Builds the index of <paramref name="embeddings"/>, one folder or several of the same contract, in <paramref name="output"/>. Every checksum of
    /// the embeddings is checked on the way. <paramref name="storage"/>: that of the embeddings where null. An output that holds just this index already is
    /// left as it is. <paramref name="hasCodes"/>: <see cref="IndexManifest.HasCodes"/>.
    /// </summary>
    /// <exception cref="InputException">A folder is damaged, of another contract, holds queries, or shares an id with another; or the output cannot
    /// be written.</exception>
    /// <exception cref="OperationCanceledException">Stopped; the output holds no index.</exception>
    public static IndexManifest Build(IReadOnlyList<string> embeddings, string output, VectorStorage? storage = null, bool hasCodes = false,
        IProgress<ProgressUpdate>? progress = null, long shardBytes = IndexWriter.DefaultShardBytes, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(embeddings);
        bool isThere = IndexManifest.IsIndex(output);
        if (!isThere) IndexWriter.RefuseForeign(output);
        List<EmbeddingStore> stores = [];
        try
        {
            foreach (string folder in embeddings)
            {
                stores.Add(OpenPassages(folder));
                CheckSame(stores[0], embeddings[0], stores[^1], folder);
            }

            EmbeddingManifest first = stores[0].Manifest;
            VectorStorage kept = storage ?? IndexManifest.StorageOf(first.DType);
            Metric metric = first.Contract.Similarity == Similarity.Cosine ? Metric.Cosine : Metric.InnerProduct;
            RefuseCodes(hasCodes, kept, metric);
            string hash = SourceHash(stores);
            if (isThere)
            {
                IndexManifest found = IndexManifest.Load(output);
                if (found.Generation == 1 && found.SourceHash == hash && found.Storage == kept && found.HasCodes == hasCodes) return found;
                IndexWriter.RefuseForeign(output);
            }

            RefuseDuplicates(stores, embeddings);
            foreach (EmbeddingStore store in stores) store.Verify(progress, cancellation);
            using IndexWriter writer = IndexWriter.Create(output, new IndexManifest
            {
                Metric = metric,
                Storage = kept,
                HasCodes = hasCodes,
                Dimensions = first.Contract.Dimensions,
                Contract = first.Contract,
                ModelPath = first.ModelPath,
                AdapterPath = first.AdapterPath,
                SourceHash = hash,
            });
            for (int i = 0; i < stores.Count; i++) writer.Append(SourceOf(stores[i], embeddings[i]), shardBytes, progress, cancellation);
            return writer.Commit();
        }
        finally
        {
            foreach (EmbeddingStore store in stores) store.Dispose();
        }
    }

    /// <summary>Makes an index of <paramref name="source"/>, whose vectors no model is known of, in <paramref name="output"/>.</summary>
    /// <exception cref="InputException">A number or an id cannot be indexed, or the output cannot be written.</exception>
    public static IndexManifest Import(VectorSource source, string output, Metric metric, VectorStorage storage, bool hasCodes = false,
        IProgress<ProgressUpdate>? progress = null, long shardBytes = IndexWriter.DefaultShardBytes, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        RefuseCodes(hasCodes, storage, metric);
        IndexWriter.RefuseForeign(output);
        IndexEditor.RowsById(source);
        using IndexWriter writer = IndexWriter.Create(output, new IndexManifest
        {
            Metric = metric,
            Storage = storage,
            HasCodes = hasCodes,
            Dimensions = source.Dimensions,
        });
        writer.Append(source, shardBytes, progress, cancellation);
        return writer.Commit();
    }

    private static void RefuseCodes(bool hasCodes, VectorStorage storage, Metric metric)
    {
        if (hasCodes && !IndexManifest.CanHaveCodes(storage, metric))
            throw new InputException("an int8 scan goes with storage float32, float16 or bfloat16 and metric inner_product or cosine");
    }

    /// <summary>Opens a finished folder of passage embeddings.</summary>
    internal static EmbeddingStore OpenPassages(string folder)
    {
        EmbeddingStore store = EmbeddingStore.Open(folder);
        if (store.Manifest.Side == EncodingSide.Passage) return store;
        store.Dispose();
        throw new InputException($"{folder} holds query embeddings; an index is made of passages");
    }

    /// <summary>The vectors of <paramref name="store"/> as a source.</summary>
    internal static VectorSource SourceOf(EmbeddingStore store, string folder) => new(folder, store.Rows, store.Dimensions, store.Id, store.Read);

    private static void CheckSame(EmbeddingStore first, string firstFolder, EmbeddingStore store, string folder)
    {
        if (first.Manifest.Contract.Mismatch(store.Manifest.Contract, firstFolder, folder) is { } mismatch) throw new InputException(mismatch);
        if (first.Manifest.DType == store.Manifest.DType) return;
        string one = EmbeddingManifest.DTypeName(first.Manifest.DType), other = EmbeddingManifest.DTypeName(store.Manifest.DType);
        throw new InputException($"dtype is {one} in {firstFolder} but {other} in {folder}");
    }

    private static string SourceHash(List<EmbeddingStore> stores)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (EmbeddingShard shard in stores.SelectMany(static s => s.Manifest.Shards))
        {
            ContentHash.Append(hash, shard.VectorsHash);
            ContentHash.Append(hash, shard.IdsHash);
        }

        return ContentHash.Hex(hash.GetHashAndReset());
    }

    /// <summary>Each folder's ids are unique already; only between folders they may meet.</summary>
    private static void RefuseDuplicates(List<EmbeddingStore> stores, IReadOnlyList<string> folders)
    {
        if (stores.Count == 1) return;
        HashSet<string> ids = [];
        for (int s = 0; s < stores.Count; s++)
        {
            for (long row = 0; row < stores[s].Rows; row++)
            {
                if (!ids.Add(stores[s].Id(row)))
                    throw new InputException($"{folders[s]}: document \"{stores[s].Id(row)}\" is in another of the folders too; ids must be unique");
            }
        }
    }
}
