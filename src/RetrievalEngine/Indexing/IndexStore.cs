using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;
using RetrievalEngine.Search;

namespace RetrievalEngine.Indexing;

/// <summary>
/// One generation of an index, opened: shards are mapped, so opening costs no more than reading headers, finding the ids' lines and reading which rows are
/// deleted. Rows are numbered through the shards, deleted ones included. Headers and lengths are checked when it is opened, contents by
/// <see cref="Verify"/>. A writer that goes on to the next generation does not disturb it.
/// </summary>
public sealed class IndexStore : IDisposable
{
    /// <summary>Bytes of a device that an index leaves free: for queries, candidates, rows on their way, and the encoder's activations.</summary>
    public const long WorkingBytes = 4L << 30;

    private const int ChunkElements = 1 << 18, UploadBytes = 16 << 20;
    private readonly List<SafeTensorsFile> _vectors = [];
    private readonly List<IdFile> _ids = [];
    private readonly List<long> _firstRows = [];
    private readonly List<DeviceMemory> _loaded = [];

    private IndexStore(string folder, IndexManifest manifest)
    {
        Folder = folder;
        Manifest = manifest;
        Deleted = new RowSet(manifest.StoredRows);
    }

    /// <summary>Where it lies.</summary>
    public string Folder { get; }

    /// <summary>What it says of itself.</summary>
    public IndexManifest Manifest { get; }

    /// <summary>Rows that no longer count.</summary>
    public RowSet Deleted { get; }

    /// <summary>Number of rows, deleted ones included.</summary>
    public long StoredRows => Deleted.Bound;

    /// <summary>The rows that count, in order.</summary>
    public IEnumerable<long> LiveRows
    {
        get
        {
            for (long row = 0; row < StoredRows; row++)
            {
                if (!Deleted.Contains(row)) yield return row;
            }
        }
    }

    /// <summary>Opens the last generation of <paramref name="folder"/>.</summary>
    /// <exception cref="InputException">It is no index, or a file is missing, truncated or not what the manifest promises.</exception>
    public static IndexStore Open(string folder)
    {
        for (IndexManifest manifest = IndexManifest.Load(folder); ;)
        {
            // Files of an older generation go when a writer has switched to the next, perhaps between our reading the manifest and opening them.
            IndexStore store = new(folder, manifest);
            try
            {
                foreach (IndexShard shard in manifest.Shards) store.OpenShard(shard);
                return store;
            }
            catch (InputException)
            {
                store.Dispose();
                IndexManifest now = IndexManifest.Load(folder);
                if (now.Generation == manifest.Generation) throw;
                manifest = now;
            }
            catch
            {
                store.Dispose();
                throw;
            }
        }
    }

    /// <summary>Reads every byte once and compares it with the manifest's checksums.</summary>
    /// <exception cref="InputException">A file is damaged.</exception>
    public void Verify(IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default)
    {
        long done = 0;
        foreach (IndexShard shard in Manifest.Shards)
        {
            Check(shard.VectorsFile, shard.VectorsHash);
            Check(shard.IdsFile, shard.IdsHash);
            if (shard.Deleted is { } deleted) Check(deleted.File, deleted.Hash);
            progress?.Report(new ProgressUpdate("check vectors", done += shard.Rows, StoredRows, "vectors"));
        }

        void Check(string file, string hash)
        {
            string path = Path.Combine(Folder, file);
            if (ContentHash.OfFile(path, cancellation) != hash)
                throw new InputException($"{path}: the checksum is not that of the manifest; the file is damaged, make the index again");
        }
    }

    /// <summary>Looks at every id and every number: ids are unique, numbers finite. Files from elsewhere may have good checksums and not be so.</summary>
    /// <exception cref="InputException">They are not.</exception>
    public void VerifyContents(IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default)
    {
        HashSet<string> ids = new(StringComparer.Ordinal);
        float[] chunk = new float[Math.Max(1, ChunkElements / Manifest.Dimensions) * (long)Manifest.Dimensions];
        for (long row = 0, rows; row < StoredRows; row += rows)
        {
            cancellation.ThrowIfCancellationRequested();
            rows = Math.Min(chunk.Length / Manifest.Dimensions, StoredRows - row);
            Span<float> part = chunk.AsSpan(0, (int)rows * Manifest.Dimensions);
            Read(row, part);
            for (int i = 0; i < part.Length; i++)
            {
                if (!float.IsFinite(part[i]))
                    throw new InputException($"{Folder}: row {row + i / Manifest.Dimensions} holds a number that is not finite; make the index again");
            }

            if (Manifest.HasCodes) VerifyCodes(row, part);
            for (long at = row; at < row + rows; at++)
            {
                string id = Id(at);
                if (!Deleted.Contains(at) && !ids.Add(id)) throw new InputException($"{Folder}: id \"{id}\" is there twice; make the index again");
            }

            progress?.Report(new ProgressUpdate("check contents", row + rows, StoredRows, "vectors"));
        }
    }

    /// <summary>A bound that is none would make a search prove what is not so.</summary>
    private void VerifyCodes(long firstRow, ReadOnlySpan<float> rows)
    {
        int dimensions = Manifest.Dimensions;
        sbyte[] codes = new sbyte[dimensions];
        for (int i = 0; i * dimensions < rows.Length; i++)
        {
            long row = firstRow + i;
            (int shard, int at) = Locate(row);
            (float, float) numbers = ScanCodes.Encode(rows.Slice(i * dimensions, dimensions), codes);
            ReadOnlySpan<byte> kept = _vectors[shard].Bytes(IndexManifest.CodesTensor, (long)at * dimensions, dimensions);
            if (numbers != (Number(row, IndexManifest.CodeScalesTensor), Number(row, IndexManifest.CodeErrorsTensor))
                || !kept.SequenceEqual(MemoryMarshal.AsBytes(codes.AsSpan())))
                throw new InputException($"{Folder}: the codes of row {row} are not those of its vector; make the index again");
        }
    }

    /// <summary>The id of <paramref name="row"/>, which may be deleted.</summary>
    public string Id(long row)
    {
        (int shard, int at) = Locate(row);
        return _ids[shard][at];
    }

    /// <summary>Vectors from <paramref name="firstRow"/> on, deleted ones included, as float32; <paramref name="destination"/> is [rows, dimensions].</summary>
    public void Read(long firstRow, Span<float> destination)
    {
        int dimensions = Manifest.Dimensions;
        if (destination.Length % dimensions != 0)
            throw new ArgumentException($"{destination.Length} numbers are no vectors of {dimensions} each", nameof(destination));
        for (int i = 0; i * dimensions < destination.Length; i++)
        {
            long row = firstRow + i;
            RowFormat.Decode(Manifest.Storage, Stored(row), Scale(row), destination.Slice(i * dimensions, dimensions));
        }
    }

    /// <summary>The live vectors as a source for others.</summary>
    public VectorSource AsSource()
    {
        long[] rows = [.. LiveRows];
        return new VectorSource(Folder, rows.Length, Manifest.Dimensions, i => Id(rows[i]), (first, destination) =>
        {
            for (int i = 0; i * Manifest.Dimensions < destination.Length; i++)
                Read(rows[first + i], destination.Slice(i * Manifest.Dimensions, Manifest.Dimensions));
        });
    }

    /// <summary>
    /// A flat index over all rows: on the CPU a view of the mapped files, on a device a copy of as many shards as it has room for, while the others stay on the
    /// host and pass through it in every search. Keep this open while it is used.
    /// </summary>
    /// <param name="backend">What will search.</param>
    /// <param name="resident">Bytes of rows that a device may keep; without it, what is free now but for <see cref="WorkingBytes"/>.</param>
    public FlatIndex CreateIndex(IBackend backend, long? resident = null)
    {
        ArgumentNullException.ThrowIfNull(backend);
        bool hasScales = RowFormat.HasScales(Manifest.Storage), isBinary = Manifest.Storage == VectorStorage.Binary;
        List<VectorShard> shards = [], originals = [], codes = [];
        int together = 0;
        // Bits stay on the host, where they are made bytes on their way.
        if (backend.FreeBytes is { } free && !isBinary)
        {
            // What a device keeps lies in one block: a search is one pass over it, which waits for the device a few times and not once a shard.
            long room = resident ?? free - WorkingBytes;
            while (together < _vectors.Count && _vectors[together].Find(IndexManifest.RowsTensor).Bytes is var bytes && bytes <= room)
            {
                room -= bytes;
                together++;
            }

            if (together > 0)
            {
                Tensor scales = hasScales ? LoadTogether(IndexManifest.ScalesTensor) : default;
                shards.Add(new VectorShard(LoadTogether(IndexManifest.RowsTensor), scales) { Terms = Terms(0, together) });
            }
        }

        for (int i = 0; i < _vectors.Count; i++)
        {
            Tensor rows = Keep(_vectors[i].View(IndexManifest.RowsTensor)), scales = hasScales ? Keep(_vectors[i].View(IndexManifest.ScalesTensor)) : default;
            VectorShard original = new(rows, scales) { IsBinary = isBinary };
            originals.Add(original);
            if (i < together) continue;
            Tensor near = hasScales && backend.FreeBytes is not null ? Keep(_vectors[i].Load(backend, IndexManifest.ScalesTensor)) : scales;
            shards.Add(original with { Scales = near, Terms = Terms(i, i + 1) });
            // A device scans its own rows by a bound already.
            if (!Manifest.HasCodes || backend.FreeBytes is not null) continue;
            codes.Add(new VectorShard(Keep(_vectors[i].View(IndexManifest.CodesTensor)), Keep(_vectors[i].View(IndexManifest.CodeScalesTensor)))
            {
                Terms = Manifest.Shards[i].Deleted is null ? Keep(_vectors[i].View(IndexManifest.CodeErrorsTensor)) : Terms(i, i + 1, ofCodes: true),
            });
        }

        return new FlatIndex(backend, Manifest.Dimensions, shards, Manifest.ComesNormalized ? Metric.InnerProduct : Manifest.Metric, originals, codes);

        // Of the rows of some shards: NaN where a row is deleted, for distances minus half the squared length, of codes the errors; none where there is nothing to say.
        Tensor Terms(int first, int end, bool ofCodes = false)
        {
            bool areDistances = Manifest.Metric == Metric.L2;
            if (!areDistances && !ofCodes && Manifest.Shards.Skip(first).Take(end - first).All(static shard => shard.Deleted is null)) return default;
            long from = _firstRows[first], count = (end < _firstRows.Count ? _firstRows[end] : StoredRows) - from;
            float[] terms = new float[count];
            for (long row = from; row < from + count; row++) terms[row - from] = Deleted.Contains(row) ? float.NaN : areDistances ? -Norm(row) / 2 : ofCodes ? Number(row, IndexManifest.CodeErrorsTensor) : 0;
            Tensor tensor = Keep(new Tensor(backend.Allocate(count * sizeof(float)), 0, new Shape(count), DType.F32));
            backend.Upload<float>(terms, tensor);
            return tensor;
        }

        Tensor LoadTogether(string name)
        {
            Tensor[] parts = [.. _vectors.Take(together).Select(file => Keep(file.View(name)))];
            Shape first = parts[0].Shape;
            long rows = parts.Sum(static part => part.Shape[0]), row = 0;
            Shape shape = first.Rank == 1 ? new Shape(rows) : new Shape(rows, first[1]);
            Tensor whole = Keep(new Tensor(backend.Allocate(shape.Count * parts[0].DType.Size()), 0, shape, parts[0].DType));
            foreach (Tensor part in parts)
            {
                long most = Math.Max(1, UploadBytes * part.Shape[0] / Math.Max(1, part.Bytes));
                for (long at = 0; at < part.Shape[0]; at += most)
                {
                    long count = Math.Min(most, part.Shape[0] - at);
                    backend.Upload(part.Slice(at, count).AsSpan<byte>(), whole.Slice(row + at, count));
                }

                row += part.Shape[0];
            }

            return whole;
        }

        Tensor Keep(Tensor tensor)
        {
            _loaded.Add(tensor.Memory!);
            return tensor;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (DeviceMemory memory in _loaded) memory.Dispose();
        foreach (SafeTensorsFile file in _vectors) file.Dispose();
        foreach (IdFile file in _ids) file.Dispose();
    }

    /// <summary>The rows that count of the ids that are wanted.</summary>
    public Dictionary<string, long> Find(Func<string, bool> isWanted, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(isWanted);
        Dictionary<string, long> found = new(StringComparer.Ordinal);
        foreach (long row in LiveRows)
        {
            if ((row & 0xFFFF) == 0) cancellation.ThrowIfCancellationRequested();
            string id = Id(row);
            if (isWanted(id)) found[id] = row;
        }

        return found;
    }

    /// <summary>The bytes of a row as they are kept.</summary>
    internal ReadOnlySpan<byte> Stored(long row)
    {
        (int shard, int at) = Locate(row);
        int bytes = RowFormat.RowBytes(Manifest.Storage, Manifest.Dimensions);
        return _vectors[shard].Bytes(IndexManifest.RowsTensor, (long)at * bytes, bytes);
    }

    /// <summary>The scale of a row; 1 where the storage has none.</summary>
    internal float Scale(long row) => RowFormat.HasScales(Manifest.Storage) ? Number(row, IndexManifest.ScalesTensor) : 1;

    /// <summary>The squared length of a row, where the metric is L2.</summary>
    internal float Norm(long row) => Number(row, IndexManifest.NormsTensor);

    private float Number(long row, string tensor)
    {
        (int shard, int at) = Locate(row);
        return MemoryMarshal.Read<float>(_vectors[shard].Bytes(tensor, (long)at * sizeof(float), sizeof(float)));
    }

    /// <summary>The shard of a row, and its number there.</summary>
    internal (int Shard, int Row) Locate(long row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)row, (ulong)StoredRows, nameof(row));
        int shard = _firstRows.BinarySearch(row);
        if (shard < 0) shard = ~shard - 1;
        return (shard, (int)(row - _firstRows[shard]));
    }

    private void OpenShard(IndexShard shard)
    {
        SafeTensorsFile file = SafeTensorsFile.Open(Path.Combine(Folder, shard.VectorsFile));
        _vectors.Add(file);
        Expect(IndexManifest.RowsTensor, RowFormat.TypeOf(Manifest.Storage), new Shape(shard.Rows, RowFormat.Width(Manifest.Storage, Manifest.Dimensions)));
        if (RowFormat.HasScales(Manifest.Storage)) Expect(IndexManifest.ScalesTensor, DType.F32, new Shape(shard.Rows));
        if (Manifest.HasCodes)
        {
            Expect(IndexManifest.CodesTensor, DType.I8, new Shape(shard.Rows, Manifest.Dimensions));
            Expect(IndexManifest.CodeScalesTensor, DType.F32, new Shape(shard.Rows));
            Expect(IndexManifest.CodeErrorsTensor, DType.F32, new Shape(shard.Rows));
        }

        if (Manifest.Metric == Metric.L2) Expect(IndexManifest.NormsTensor, DType.F32, new Shape(shard.Rows));
        long first = _ids.Count == 0 ? 0 : _firstRows[^1] + Manifest.Shards[_ids.Count - 1].Rows;
        _firstRows.Add(first);
        _ids.Add(IdFile.Open(Path.Combine(Folder, shard.IdsFile), shard.Rows));
        if (shard.Deleted is { } deleted) ReadDeleted(deleted, shard.Rows, first);

        void Expect(string name, DType dtype, Shape shape)
        {
            Shape found = file.Find(name).Shape;
            if (found != shape || file.DTypeOf(name) != dtype)
                throw new InputException($"{file.Path}: {name} is {file.DTypeOf(name)} {found}, but the manifest promises {dtype} {shape}; make the index again");
        }
    }

    private void ReadDeleted(DeletedRows deleted, int rows, long firstRow)
    {
        using SafeTensorsFile file = SafeTensorsFile.Open(Path.Combine(Folder, deleted.File));
        long[] found = file.ReadInt64(IndexManifest.DeletedTensor);
        bool isAscending = found.Zip(found.Skip(1)).All(static pair => pair.First < pair.Second);
        if (found.Length != deleted.Rows || !isAscending || found[0] < 0 || found[^1] >= rows)
            throw new InputException($"{file.Path}: these are not {deleted.Rows} ascending row numbers below {rows}; make the index again");
        foreach (long row in found) Deleted.Add(firstRow + row);
    }
}
