using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Encoding;

/// <summary>
/// A finished folder of vectors, opened: shards are mapped, so opening costs no more than reading headers and finding the ids' lines.
/// Headers and lengths are checked when it is opened, contents by <see cref="Verify"/>.
/// </summary>
public sealed class EmbeddingStore : IDisposable
{
    private readonly List<SafeTensorsFile> _vectors = [];
    private readonly List<IdFile> _ids = [];
    private readonly List<long> _firstRows = [];
    private readonly string _folder;

    private EmbeddingStore(string folder, EmbeddingManifest manifest)
    {
        _folder = folder;
        Manifest = manifest;
    }

    /// <summary>What the folder says of itself.</summary>
    public EmbeddingManifest Manifest { get; }

    /// <summary>Number of vectors.</summary>
    public long Rows => Manifest.Rows;

    /// <summary>Elements of a vector.</summary>
    public int Dimensions => Manifest.Contract.Dimensions;

    /// <summary>Opens <paramref name="folder"/>, which must hold finished embeddings.</summary>
    /// <exception cref="InputException">It holds something else, is unfinished, or a file is missing, truncated or not what the manifest
    /// promises.</exception>
    public static EmbeddingStore Open(string folder)
    {
        EmbeddingManifest manifest = EmbeddingManifest.Load(folder);
        if (!manifest.Complete)
            throw new InputException(
                $"{folder} is unfinished ({manifest.Rows} of {manifest.Source.Rows} vectors); give its command again, it goes on where it stopped");
        EmbeddingStore store = new(folder, manifest);
        try
        {
            foreach (EmbeddingShard shard in manifest.Shards) store.OpenShard(shard);
            return store;
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <summary>Reads every byte once and compares it with the manifest's checksums.</summary>
    /// <exception cref="InputException">A file is damaged.</exception>
    public void Verify(IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default)
    {
        long done = 0;
        foreach (EmbeddingShard shard in Manifest.Shards)
        {
            Check(shard.VectorsFile, shard.VectorsHash);
            Check(shard.IdsFile, shard.IdsHash);
            progress?.Report(new ProgressUpdate("check vectors", done += shard.Rows, Rows, "vectors"));
        }

        void Check(string file, string hash)
        {
            string path = Path.Combine(_folder, file);
            if (ContentHash.OfFile(path, cancellation) != hash)
                throw new InputException($"{path}: the checksum is not that of the manifest; the file is damaged, make the folder again");
        }
    }

    /// <summary>The id of <paramref name="row"/>.</summary>
    public string Id(long row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)row, (ulong)Rows, nameof(row));
        int shard = _firstRows.BinarySearch(row);
        if (shard < 0) shard = ~shard - 1;
        return _ids[shard][(int)(row - _firstRows[shard])];
    }

    /// <summary>Vectors from <paramref name="firstRow"/> on, widened to float32; <paramref name="destination"/> is [rows, dimensions].</summary>
    public void Read(long firstRow, Span<float> destination)
    {
        if (destination.Length % Dimensions != 0)
            throw new ArgumentException($"{destination.Length} numbers are no vectors of {Dimensions} each", nameof(destination));
        ArgumentOutOfRangeException.ThrowIfNegative(firstRow);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstRow, Rows - destination.Length / Dimensions);
        for (int shard = 0; shard < _vectors.Count && !destination.IsEmpty; shard++)
        {
            long skip = firstRow - _firstRows[shard], rows = Manifest.Shards[shard].Rows;
            if (skip >= rows) continue;
            Span<float> part = destination[..(int)Math.Min(destination.Length, (rows - skip) * Dimensions)];
            _vectors[shard].ReadFloat32(EmbeddingManifest.TensorName, skip * Dimensions, part);
            destination = destination[part.Length..];
            firstRow += part.Length / Dimensions;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SafeTensorsFile file in _vectors) file.Dispose();
        foreach (IdFile file in _ids) file.Dispose();
    }

    private void OpenShard(EmbeddingShard shard)
    {
        SafeTensorsFile file = SafeTensorsFile.Open(Path.Combine(_folder, shard.VectorsFile));
        _vectors.Add(file);
        Shape shape = file.Find(EmbeddingManifest.TensorName).Shape;
        DType dtype = file.DTypeOf(EmbeddingManifest.TensorName);
        if (shape != new Shape(shard.Rows, Dimensions) || dtype != Manifest.DType)
            throw new InputException(
                $"{file.Path}: {dtype} {shape}, but the manifest promises {Manifest.DType} [{shard.Rows}, {Dimensions}]; make the folder again");
        _firstRows.Add(_ids.Count == 0 ? 0 : _firstRows[^1] + Manifest.Shards[_ids.Count - 1].Rows);
        _ids.Add(IdFile.Open(Path.Combine(_folder, shard.IdsFile), shard.Rows));
    }
}
