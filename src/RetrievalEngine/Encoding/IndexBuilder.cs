using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Numerics.Tensors;
using System.Security.Cryptography;
using System.Threading;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Encoding;

/// <summary>
/// Makes an index of passage embeddings: their rows in few large shards, scaled to length 1 where the model compares by cosine but does not normalise
/// by itself. Every checksum of the embeddings is checked on the way.
/// </summary>
public static class IndexBuilder
{
    /// <summary>Size of a shard of an index.</summary>
    public const long DefaultShardBytes = 1L << 30;

    /// <summary>
    /// Builds the index of <paramref name="embeddings"/>, one folder or several of the same contract, in <paramref name="output"/>; goes on with an
    /// unfinished one.
    /// </summary>
    /// <exception cref="InputException">A folder is damaged, of another contract, holds queries, or shares an id with another; or the output cannot
    /// be written.</exception>
    /// <exception cref="OperationCanceledException">Stopped; finished shards are there for the next run.</exception>
    public static EmbeddingManifest Build(IReadOnlyList<string> embeddings, string output, IProgress<ProgressUpdate>? progress = null,
        long shardBytes = DefaultShardBytes, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(embeddings);
        ArgumentOutOfRangeException.ThrowIfLessThan(shardBytes, 1);
        EmbeddingWriter.RefuseForeign(output);
        List<EmbeddingStore> stores = [];
        try
        {
            foreach (string folder in embeddings)
            {
                stores.Add(EmbeddingStore.Open(folder, StoreKind.Embeddings));
                CheckFits(stores[0], embeddings[0], stores[^1], folder);
            }

            RefuseDuplicates(stores, embeddings);
            foreach (EmbeddingStore store in stores) store.Verify(progress, cancellation);
            EmbeddingManifest first = stores[0].Manifest;
            long rowBytes = (long)first.Contract.Dimensions * first.DType.Size();
            EmbeddingManifest plan = first with
            {
                Kind = StoreKind.Index,
                Complete = false,
                Shards = [],
                RowsPerShard = (int)Math.Clamp(shardBytes / rowBytes, 1, int.MaxValue),
                Source =
                    new EmbeddingSource(string.Join(", ", embeddings.Select(Path.GetFullPath)), SourceHash(stores), stores.Sum(static s => s.Rows)),
            };
            using EmbeddingWriter writer = EmbeddingWriter.Open(output, plan, cancellation);
            if (!writer.Manifest.Complete) Write(stores, writer, progress, cancellation);
            return writer.Manifest;
        }
        finally
        {
            foreach (EmbeddingStore store in stores) store.Dispose();
        }
    }

    private static void CheckFits(EmbeddingStore first, string firstFolder, EmbeddingStore store, string folder)
    {
        if (store.Manifest.Side != EncodingSide.Passage) throw new InputException($"{folder} holds query embeddings; an index is built of passages");
        if (first.Manifest.Contract.Mismatch(store.Manifest.Contract, firstFolder, folder) is { } mismatch) throw new InputException(mismatch);
        if (first.Manifest.DType != store.Manifest.DType)
        {
            string one = EmbeddingManifest.DTypeName(first.Manifest.DType), other = EmbeddingManifest.DTypeName(store.Manifest.DType);
            throw new InputException($"dtype is {one} in {firstFolder} but {other} in {folder}");
        }
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

    private static void Write(
        List<EmbeddingStore> stores, EmbeddingWriter writer, IProgress<ProgressUpdate>? progress, CancellationToken cancellation)
    {
        EmbeddingManifest plan = writer.Manifest;
        bool scale = plan.IsNormalized && !plan.Contract.Normalize;
        for (long row = plan.Rows, next; row < plan.Source.Rows; row = next)
        {
            next = Math.Min(row + plan.RowsPerShard, plan.Source.Rows);
            string[] ids = new string[next - row];
            for (int i = 0; i < ids.Length; i++) ids[i] = Id(stores, row + i);
            long first = row;
            writer.Append(ids, (at, rows) =>
            {
                cancellation.ThrowIfCancellationRequested();
                Read(stores, first + at, rows);
                if (scale) ScaleToLengthOne(rows, plan.Contract.Dimensions);
                progress?.Report(new ProgressUpdate("build index", first + at + rows.Length / plan.Contract.Dimensions, plan.Source.Rows, "vectors"));
            }, 0, 0, 0);
        }

        writer.Complete();
    }

    private static string Id(List<EmbeddingStore> stores, long row)
    {
        int s = 0;
        for (; row >= stores[s].Rows; s++) row -= stores[s].Rows;
        return stores[s].Id(row);
    }

    private static void Read(List<EmbeddingStore> stores, long row, Span<float> rows)
    {
        foreach (EmbeddingStore store in stores)
        {
            if (row >= store.Rows)
            {
                row -= store.Rows;
                continue;
            }

            Span<float> part = rows[..(int)Math.Min(rows.Length, (store.Rows - row) * store.Dimensions)];
            store.Read(row, part);
            rows = rows[part.Length..];
            row = 0;
            if (rows.IsEmpty) return;
        }
    }

    /// <summary>Scales each vector to length 1; a zero vector stays zero, whose similarity with everything is 0.</summary>
    internal static void ScaleToLengthOne(Span<float> rows, int dimensions)
    {
        for (int first = 0; first < rows.Length; first += dimensions)
        {
            Span<float> row = rows.Slice(first, dimensions);
            TensorPrimitives.Divide(row, Math.Max(TensorPrimitives.Norm<float>(row), 1e-12f), row);
        }
    }
}
