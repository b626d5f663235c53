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
/// The one writer of an index. Changes are written into files of the next generation, which count when <see cref="Commit"/> has replaced the manifest:
/// a process that is killed at any byte, a full disk or an exception leaves the last generation, and the next writer removes what was left. Readers are
/// not held up; another writer is refused.
/// </summary>
public sealed class IndexWriter : IDisposable
{
    /// <summary>Size of a shard.</summary>
    public const long DefaultShardBytes = 1L << 30;

    private const string LockFile = "lock";
    private const int ChunkElements = 1 << 18;

    // What a lock that another process holds gives on Linux, macOS and Windows.
    private static readonly int[] s_heldByAnother = [11, 35, unchecked((int)0x80070020)];

    private readonly string _folder;
    private readonly FileStream _lock;
    private List<IndexShard?> _shards;
    private int _files;
    private bool _hasChanged;

    private IndexWriter(string folder, FileStream @lock, IndexManifest manifest)
    {
        _folder = folder;
        _lock = @lock;
        Manifest = manifest;
        _shards = [.. manifest.Shards];
    }

    /// <summary>The last generation that counts; the plan before the first.</summary>
    public IndexManifest Manifest { get; private set; }

    /// <summary>Begins an index: the first <see cref="Commit"/> makes it one.</summary>
    /// <exception cref="InputException">The folder holds something, another process writes it, or it cannot be written.</exception>
    public static IndexWriter Create(string folder, IndexManifest plan)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(plan);
        RefuseForeign(folder);
        return Lock(folder, () =>
        {
            RefuseForeign(folder);
            return plan;
        });
    }

    /// <summary>Opens the index in <paramref name="folder"/> to change it.</summary>
    /// <exception cref="InputException">It is no index, another process writes it, or it cannot be written.</exception>
    public static IndexWriter Open(string folder)
    {
        IndexManifest.Load(folder);
        return Lock(folder, () => IndexManifest.Load(folder));
    }

    /// <summary>
    /// Refuses a folder in which no index can be begun, before work is done for it: a file, or a folder with anything but an unfinished beginning in it.
    /// </summary>
    public static void RefuseForeign(string folder)
    {
        if (File.Exists(folder)) throw new InputException($"{folder} is a file where a folder is to be written");
        if (!Directory.Exists(folder)) return;
        foreach (string path in Directory.EnumerateFileSystemEntries(folder))
        {
            string name = Path.GetFileName(path);
            if (name == IndexManifest.FileName && IndexManifest.IsIndex(folder))
                throw new InputException($"{folder} holds an index already; add to it with retrieval index add, or name another folder");
            if (name != LockFile && !IsUnfinished(name)) throw new InputException($"{folder} is not empty; name another folder");
        }
    }

    /// <summary>Writes all of <paramref name="source"/> behind the rows there are, in shards of about <paramref name="shardBytes"/>.</summary>
    /// <exception cref="InputException">A row holds a number that cannot be kept, or the disk is full; nothing of it counts.</exception>
    public void Append(VectorSource source, long shardBytes = DefaultShardBytes, IProgress<ProgressUpdate>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (source.Dimensions != Manifest.Dimensions)
            throw new InputException($"{source.Name} holds vectors of {source.Dimensions} numbers but {_folder} of {Manifest.Dimensions}");
        InShards(source.Rows, shardBytes, source.Id, (first, rows, stored, scales, norms) =>
        {
            cancellation.ThrowIfCancellationRequested();
            source.Read(first, rows);
            if (RowFormat.Encode(Manifest, rows, stored, scales, norms) is { } bad)
                throw new InputException($"{source.Name}: row {first + bad.Row} (id \"{source.Id(first + bad.Row)}\") cannot be indexed: {bad.What}");
            progress?.Report(new ProgressUpdate("write index", first + rows.Length / Manifest.Dimensions, source.Rows, "vectors"));
        });
    }

    /// <summary>Declares rows deleted, by shard and number in the shard. A shard without rows left goes.</summary>
    public void Delete(int shard, IEnumerable<int> rows)
    {
        IndexShard old = _shards[shard] ?? throw new ArgumentException($"shard {shard} is gone", nameof(shard));
        SortedSet<int> all = [.. rows];
        if (all.Count == 0) return;
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)all.Max, (uint)old.Rows, nameof(rows));
        ArgumentOutOfRangeException.ThrowIfNegative(all.Min, nameof(rows));
        if (old.Deleted is { } before)
        {
            using SafeTensorsFile file = SafeTensorsFile.Open(Path.Combine(_folder, before.File));
            foreach (long row in file.ReadInt64(IndexManifest.DeletedTensor)) all.Add((int)row);
        }

        _hasChanged = true;
        if (all.Count == old.Rows)
        {
            _shards[shard] = null;
            return;
        }

        int[] sorted = [.. all];
        string name = NextFile("deleted", "safetensors"), path = Path.Combine(_folder, name);
        SafeTensorsWriter.Write(path,
            [TensorSource.FromBytes(IndexManifest.DeletedTensor, DType.I32, new Shape(sorted.Length), MemoryMarshal.AsBytes(sorted.AsSpan()).ToArray())]);
        _shards[shard] = old with { Deleted = new DeletedRows(name, sorted.Length, ContentHash.OfFile(path)) };
    }

    /// <summary>Writes the live rows of <paramref name="store"/>, which is the last generation, into new full shards in place of all there are.</summary>
    public void Rewrite(IndexStore store, long shardBytes = DefaultShardBytes, IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        if (store.Manifest.Generation != Manifest.Generation) throw new ArgumentException("another generation than that of the writer", nameof(store));
        long[] live = [.. store.LiveRows];
        int rowBytes = RowFormat.RowBytes(Manifest.Storage, Manifest.Dimensions);
        _shards = [];
        _hasChanged = true;
        InShards(live.Length, shardBytes, i => store.Id(live[i]), (first, rows, stored, scales, norms) =>
        {
            cancellation.ThrowIfCancellationRequested();
            for (int i = 0; i < rows.Length / Manifest.Dimensions; i++)
            {
                long row = live[first + i];
                store.Stored(row).CopyTo(stored[(i * rowBytes)..]);
                if (!scales.IsEmpty) scales[i] = store.Scale(row);
                if (!norms.IsEmpty) norms[i] = store.Norm(row);
            }

            progress?.Report(new ProgressUpdate("compact", first + rows.Length / Manifest.Dimensions, live.Length, "vectors"));
        });
    }

    /// <summary>Makes the changes count, all at once; without changes nothing happens. Files that no longer count are removed.</summary>
    /// <exception cref="InputException">The manifest cannot be written; the last generation stays.</exception>
    public IndexManifest Commit()
    {
        if (!_hasChanged && Manifest.Generation > 0) return Manifest;
        if (Manifest.Generation == IndexManifest.LastGeneration) throw new InputException($"{_folder} has had its last generation; build it again elsewhere");
        IndexManifest next = Manifest with { Generation = Manifest.Generation + 1, Shards = [.. _shards.OfType<IndexShard>()] };
        next.Save(_folder);
        Manifest = next;
        _shards = [.. next.Shards];
        (_files, _hasChanged) = (0, false);
        DeleteStrays();
        return next;
    }

    /// <summary>Drops changes that do not count and lets other processes write.</summary>
    public void Dispose()
    {
        if (_hasChanged) DeleteStrays();
        _lock.Dispose();
    }

    private static IndexWriter Lock(string folder, Func<IndexManifest> load)
    {
        FileStream? held = null;
        try
        {
            Directory.CreateDirectory(folder);
            // It stays when the writer ends: a file that is removed could be locked by one process and made anew by another.
            held = new FileStream(Path.Combine(folder, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1);
            IndexWriter writer = new(folder, held, load());
            writer.DeleteStrays();
            return writer;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            held?.Dispose();
            throw new InputException(
                s_heldByAnother.Contains(e.HResult)
                    ? $"{folder} is being written by another process; give the command again when that has ended"
                    : $"{folder} cannot be written: {e.Message}",
                e);
        }
        catch
        {
            held?.Dispose();
            throw;
        }
    }

    private static bool IsUnfinished(string name)
    {
        bool isPartial = name.EndsWith(AtomicFile.PartialSuffix, StringComparison.Ordinal);
        string whole = isPartial ? name[..^AtomicFile.PartialSuffix.Length] : name;
        return IndexManifest.IsOurs(whole) || (isPartial && whole == IndexManifest.FileName);
    }

    private void DeleteStrays()
    {
        HashSet<string> counted = [.. Manifest.Shards.SelectMany(IndexManifest.FilesOf)];
        foreach (string path in Directory.EnumerateFiles(_folder))
        {
            string name = Path.GetFileName(path);
            if (!IsUnfinished(name) || counted.Contains(name)) continue;
            try
            {
                File.Delete(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A reader holds it, where the system minds that; the next writer tries again.
            }
        }
    }

    private void InShards(long rows, long shardBytes, Func<long, string> id, FillStored fill)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(shardBytes, 1);
        int most = (int)Math.Clamp(shardBytes / RowFormat.RowBytes(Manifest.Storage, Manifest.Dimensions), 1, int.MaxValue);
        for (long first = 0; first < rows; first += most) WriteShard(first, (int)Math.Min(most, rows - first), id, fill);
    }

    private void WriteShard(long first, int rows, Func<long, string> id, FillStored fill)
    {
        _hasChanged = true;
        string vectorsFile = NextFile("vectors", "safetensors"), idsFile = NextFile("ids", "jsonl");
        string vectorsPath = Path.Combine(_folder, vectorsFile), idsPath = Path.Combine(_folder, idsFile);
        float[] scales = new float[RowFormat.HasScales(Manifest.Storage) ? rows : 0], norms = new float[Manifest.Metric == Metric.L2 ? rows : 0];
        float[] codeScales = new float[Manifest.HasCodes ? rows : 0], codeErrors = new float[codeScales.Length];
        long coded = 0;
        // The format puts them before or behind the rows, as their types want it: they must be known before anything is written.
        if (scales.Length + norms.Length + codeScales.Length > 0) InChunks(chunk => AddCodes(chunk.Span));
        List<TensorSource> tensors =
        [
            new TensorSource(IndexManifest.RowsTensor, RowFormat.TypeOf(Manifest.Storage),
                new Shape(rows, RowFormat.Width(Manifest.Storage, Manifest.Dimensions)), stream => InChunks(chunk => stream.Write(chunk.Span))),
        ];
        if (scales.Length > 0) tensors.Add(TensorSource.FromFloat32(IndexManifest.ScalesTensor, new Shape(rows), scales));
        if (norms.Length > 0) tensors.Add(TensorSource.FromFloat32(IndexManifest.NormsTensor, new Shape(rows), norms));
        if (codeScales.Length > 0)
        {
            tensors.Add(new TensorSource(IndexManifest.CodesTensor, DType.I8, new Shape(rows, Manifest.Dimensions),
                stream => InChunks(chunk => stream.Write(AddCodes(chunk.Span)))));
            tensors.Add(TensorSource.FromFloat32(IndexManifest.CodeScalesTensor, new Shape(rows), codeScales));
            tensors.Add(TensorSource.FromFloat32(IndexManifest.CodeErrorsTensor, new Shape(rows), codeErrors));
        }

        SafeTensorsWriter.Write(vectorsPath, tensors, atLines: true);
        AtomicFile.Write(idsPath, stream => IdFile.Write(Enumerable.Range(0, rows).Select(row => id(first + row)), stream));
        _shards.Add(new IndexShard(vectorsFile, idsFile, rows, ContentHash.OfFile(vectorsPath), ContentHash.OfFile(idsPath)));

        // The codes of the next rows, of which the stored bytes are given; their scales and errors go to their places.
        ReadOnlySpan<byte> AddCodes(ReadOnlySpan<byte> stored)
        {
            if (codeScales.Length == 0) return default;
            int dimensions = Manifest.Dimensions, rowBytes = RowFormat.RowBytes(Manifest.Storage, dimensions), count = stored.Length / rowBytes;
            float[] row = new float[dimensions];
            sbyte[] codes = new sbyte[count * dimensions];
            for (int i = 0; i < count; i++, coded++)
            {
                RowFormat.Decode(Manifest.Storage, stored.Slice(i * rowBytes, rowBytes), 1, row);
                (codeScales[coded % rows], codeErrors[coded % rows]) = ScanCodes.Encode(row, codes.AsSpan(i * dimensions, dimensions));
            }

            return MemoryMarshal.AsBytes(codes.AsSpan());
        }

        void InChunks(Action<ReadOnlyMemory<byte>> use)
        {
            int dimensions = Manifest.Dimensions, most = Math.Min(rows, Math.Max(1, ChunkElements / dimensions));
            int rowBytes = RowFormat.RowBytes(Manifest.Storage, dimensions);
            float[] values = new float[most * dimensions];
            byte[] stored = new byte[most * rowBytes];
            for (int start = 0, count; start < rows; start += count)
            {
                count = Math.Min(most, rows - start);
                Span<float> ofScales = scales.Length == 0 ? default : scales.AsSpan(start, count), ofNorms = norms.Length == 0 ? default : norms.AsSpan(start, count);
                fill(first + start, values.AsSpan(0, count * dimensions), stored.AsSpan(0, count * rowBytes), ofScales, ofNorms);
                use(stored.AsMemory(0, count * rowBytes));
            }
        }
    }

    private string NextFile(string what, string extension) =>
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{what}-{Manifest.Generation + 1:D6}-{_files++:D6}.{extension}");

    /// <summary>Fills <paramref name="stored"/> with the kept bytes of rows from <paramref name="first"/> on; <paramref name="rows"/> is room for their numbers.</summary>
    private delegate void FillStored(long first, Span<float> rows, Span<byte> stored, Span<float> scales, Span<float> norms);
}
