using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Encoding;

/// <summary>
/// Writes a folder of vectors shard by shard. A shard counts once its two files are on the disk and the manifest that names them has replaced the
/// last one, so a run that is killed at any byte goes on with the first shard that does not count, and ends with the same bytes as a run that was
/// not.
/// </summary>
public sealed class EmbeddingWriter : IDisposable
{
    private const string LockFile = "lock";
    private const int ChunkElements = 1 << 18;

    private readonly string _folder;
    private readonly FileStream _lock;

    private EmbeddingWriter(string folder, FileStream @lock, EmbeddingManifest manifest)
    {
        _folder = folder;
        _lock = @lock;
        Manifest = manifest;
    }

    /// <summary>What counts so far. Rows below <see cref="EmbeddingManifest.Rows"/> need not be written again.</summary>
    public EmbeddingManifest Manifest { get; private set; }

    /// <summary>
    /// Refuses a folder that certainly cannot be written, before work is done for it: a file, or a folder with anything but a run in it.
    /// </summary>
    public static void RefuseForeign(string folder)
    {
        if (File.Exists(folder)) throw new InputException($"{folder} is a file where a folder is to be written");
        if (!Directory.Exists(folder) || File.Exists(Path.Combine(folder, EmbeddingManifest.FileName))) return;
        foreach (string path in Directory.EnumerateFileSystemEntries(folder))
        {
            if (Path.GetFileName(path) is not (LockFile or EmbeddingManifest.FileName + AtomicFile.PartialSuffix))
                throw new InputException($"{folder} is not empty and holds no unfinished run; name another folder");
        }
    }

    /// <summary>
    /// Begins <paramref name="plan"/> (without shards) in <paramref name="folder"/>, or goes on with it where the folder holds an unfinished run of
    /// the same plan. Shards that are damaged are written again.
    /// </summary>
    /// <exception cref="InputException">The folder holds something else, another process writes it, or it cannot be written. What is there stays as
    /// it is.</exception>
    public static EmbeddingWriter Open(string folder, EmbeddingManifest plan, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(plan);
        CheckUsable(folder, plan);
        FileStream? held = null;
        try
        {
            Directory.CreateDirectory(folder);
            held = new FileStream(
                Path.Combine(folder, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
            EmbeddingManifest manifest = plan;
            if (CheckUsable(folder, plan) is { } found)
                manifest = found.Complete ? found : found with { Shards = Intact(folder, found, cancellation) };
            if (!manifest.Complete)
            {
                manifest.Save(folder);
                DeleteStrays(folder, manifest);
            }

            return new EmbeddingWriter(folder, held, manifest);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            string busy = held is null && File.Exists(Path.Combine(folder, LockFile)) ? "another process writes it, or " : "";
            held?.Dispose();
            throw new InputException($"{folder} cannot be written: {busy}{e.Message}", e);
        }
        catch
        {
            held?.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Writes the next shard: <paramref name="ids"/>, and as many rows of dimensions float32 numbers that <paramref name="vectors"/> puts out,
    /// converted to the manifest's type. The counts are those of the texts.
    /// </summary>
    /// <exception cref="InputException">The disk is full or the folder cannot be written; the shard does not count.</exception>
    public void Append(IReadOnlyList<string> ids, FillRows vectors, long tokens, int truncated, int empty)
    {
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentNullException.ThrowIfNull(vectors);
        int number = Manifest.Shards.Count;
        string vectorsFile = Manifest.VectorsFile(number), idsFile = Manifest.IdsFile(number);
        string vectorsPath = Path.Combine(_folder, vectorsFile), idsPath = Path.Combine(_folder, idsFile);
        Shape shape = new(ids.Count, Manifest.Contract.Dimensions);
        SafeTensorsWriter.Write(
            vectorsPath, [new TensorSource(EmbeddingManifest.TensorName, Manifest.DType, shape, stream => WriteRows(shape, vectors, stream))], atLines: true);
        AtomicFile.Write(idsPath, stream => IdFile.Write(ids, stream));
        EmbeddingShard shard =
            new(vectorsFile, idsFile, ids.Count, ContentHash.OfFile(vectorsPath), ContentHash.OfFile(idsPath), tokens, truncated, empty);
        EmbeddingManifest next = Manifest with { Shards = [.. Manifest.Shards, shard] };
        next.Save(_folder);
        Manifest = next;
    }

    /// <summary>Declares the folder finished.</summary>
    public void Complete()
    {
        EmbeddingManifest next = Manifest with { Complete = true };
        next.Save(_folder);
        Manifest = next;
    }

    /// <summary>Lets other processes write the folder.</summary>
    public void Dispose() => _lock.Dispose();

    /// <summary>The manifest that lies in the folder, where it is of the same plan; null where the folder is free.</summary>
    private static EmbeddingManifest? CheckUsable(string folder, EmbeddingManifest plan)
    {
        RefuseForeign(folder);
        if (!File.Exists(Path.Combine(folder, EmbeddingManifest.FileName))) return null;
        EmbeddingManifest found = EmbeddingManifest.Load(folder);
        if (plan.Difference(found) is { } difference)
            throw new InputException($"{folder} is not empty and no unfinished run of this: {difference}; name another folder");
        return found;
    }

    private static List<EmbeddingShard> Intact(string folder, EmbeddingManifest manifest, CancellationToken cancellation)
    {
        List<EmbeddingShard> intact = [];
        foreach (EmbeddingShard shard in manifest.Shards)
        {
            if (!Matches(shard.VectorsFile, shard.VectorsHash) || !Matches(shard.IdsFile, shard.IdsHash)) break;
            intact.Add(shard);
        }

        return intact;

        bool Matches(string file, string hash)
        {
            string path = Path.Combine(folder, file);
            return File.Exists(path) && ContentHash.OfFile(path, cancellation) == hash;
        }
    }

    private static void DeleteStrays(string folder, EmbeddingManifest manifest)
    {
        HashSet<string> counted = [];
        foreach (EmbeddingShard shard in manifest.Shards)
        {
            counted.Add(shard.VectorsFile);
            counted.Add(shard.IdsFile);
        }

        foreach (string path in Directory.EnumerateFiles(folder))
        {
            string name = Path.GetFileName(path);
            string whole = name.EndsWith(AtomicFile.PartialSuffix, StringComparison.Ordinal) ? name[..^AtomicFile.PartialSuffix.Length] : name;
            if (EmbeddingManifest.IsOurs(whole) && !counted.Contains(name)) File.Delete(path);
        }
    }

    private void WriteRows(Shape shape, FillRows fill, Stream stream)
    {
        int dimensions = (int)shape[1], most = Math.Max(1, ChunkElements / dimensions);
        float[] rows = new float[Math.Min(most, shape[0]) * dimensions];
        byte[] bytes = new byte[rows.Length * Manifest.DType.Size()];
        for (int first = 0; first < shape[0]; first += most)
        {
            Span<float> chunk = rows.AsSpan(0, (int)Math.Min(most, shape[0] - first) * dimensions);
            fill(first, chunk);
            Span<byte> stored = bytes.AsSpan(0, chunk.Length * Manifest.DType.Size());
            FloatBytes.Narrow(chunk, Manifest.DType, stored);
            stream.Write(stored);
        }
    }
}
