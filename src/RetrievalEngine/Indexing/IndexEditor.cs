using System;
using System.Collections.Generic;
using System.Threading;
using RetrievalEngine.Encoding;

namespace RetrievalEngine.Indexing;

/// <summary>Changes to an index, each one generation: it is there as a whole, or not at all.</summary>
public static class IndexEditor
{
    /// <summary>
    /// Adds <paramref name="source"/> to the index in <paramref name="folder"/>. Ids that are there already are refused, or with
    /// <paramref name="replace"/> their rows deleted in the same step.
    /// </summary>
    /// <exception cref="InputException">An id is there, a number cannot be indexed, another process writes the index, or it cannot be written.</exception>
    public static IndexManifest Add(string folder, VectorSource source, bool replace = false, IProgress<ProgressUpdate>? progress = null,
        long shardBytes = IndexWriter.DefaultShardBytes, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        Dictionary<string, long> added = RowsById(source);
        using IndexWriter writer = IndexWriter.Open(folder);
        using (IndexStore store = IndexStore.Open(folder))
        {
            Dictionary<string, long> there = store.Find(added.ContainsKey, cancellation);
            if (!replace)
            {
                foreach (string id in there.Keys)
                    throw new InputException($"{source.Name}: id \"{id}\" is in {folder} already; delete it first, or give --replace");
            }

            DeleteRows(writer, store, there.Values);
        }

        writer.Append(source, shardBytes, progress, cancellation);
        return writer.Commit();
    }

    /// <summary>Adds a folder of passage embeddings, which must have the contract of the index.</summary>
    /// <exception cref="InputException">As <see cref="Add"/>; or the contracts differ.</exception>
    public static IndexManifest AddEmbeddings(string folder, string embeddings, bool replace = false, IProgress<ProgressUpdate>? progress = null,
        CancellationToken cancellation = default)
    {
        using EmbeddingStore store = IndexBuilder.OpenPassages(embeddings);
        EncodingContract contract = IndexManifest.Load(folder).Contract
            ?? throw new InputException($"{folder} was imported and does not say what made its vectors; embeddings of a model cannot be added to it");
        if (contract.Mismatch(store.Manifest.Contract, $"the index {folder}", embeddings) is { } mismatch) throw new InputException(mismatch);
        store.Verify(progress, cancellation);
        return Add(folder, IndexBuilder.SourceOf(store, embeddings), replace, progress, cancellation: cancellation);
    }

    /// <summary>Deletes the vectors of <paramref name="ids"/>; gives how many there were.</summary>
    /// <exception cref="InputException">Another process writes the index, or it cannot be written.</exception>
    public static long Delete(string folder, IEnumerable<string> ids, CancellationToken cancellation = default)
    {
        HashSet<string> wanted = new(ids, StringComparer.Ordinal);
        using IndexWriter writer = IndexWriter.Open(folder);
        using IndexStore store = IndexStore.Open(folder);
        Dictionary<string, long> there = store.Find(wanted.Contains, cancellation);
        DeleteRows(writer, store, there.Values);
        writer.Commit();
        return there.Count;
    }

    /// <summary>Writes the rows that count into as few shards as hold them, and removes the rest; order, ids and bits of the vectors stay.</summary>
    /// <exception cref="InputException">Another process writes the index, or it cannot be written.</exception>
    public static IndexManifest Compact(string folder, IProgress<ProgressUpdate>? progress = null, long shardBytes = IndexWriter.DefaultShardBytes,
        CancellationToken cancellation = default)
    {
        using IndexWriter writer = IndexWriter.Open(folder);
        using IndexStore store = IndexStore.Open(folder);
        long bytes = store.Manifest.Rows * RowFormat.RowBytes(store.Manifest.Storage, store.Manifest.Dimensions);
        if (store.Deleted.Count == 0 && store.Manifest.Shards.Count <= Math.Max(1, bytes / shardBytes)) return store.Manifest;
        writer.Rewrite(store, shardBytes, progress, cancellation);
        return writer.Commit();
    }

    /// <summary>The row of each id.</summary>
    /// <exception cref="InputException">An id is there twice.</exception>
    internal static Dictionary<string, long> RowsById(VectorSource source)
    {
        Dictionary<string, long> rows = new(StringComparer.Ordinal);
        for (long row = 0; row < source.Rows; row++)
        {
            if (!rows.TryAdd(source.Id(row), row))
                throw new InputException($"{source.Name}: rows {rows[source.Id(row)]} and {row} have the same id \"{source.Id(row)}\"; ids must be unique");
        }

        return rows;
    }

    private static void DeleteRows(IndexWriter writer, IndexStore store, IEnumerable<long> rows)
    {
        List<int>[] byShard = new List<int>[store.Manifest.Shards.Count];
        foreach (long row in rows)
        {
            (int shard, int at) = store.Locate(row);
            (byShard[shard] ??= []).Add(at);
        }

        for (int shard = 0; shard < byShard.Length; shard++)
        {
            if (byShard[shard] is { } some) writer.Delete(shard, some);
        }
    }
}
