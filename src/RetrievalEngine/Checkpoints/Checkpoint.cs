using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// The weights of a Hugging Face folder: <c>model.safetensors</c>, or shards listed in <c>model.safetensors.index.json</c>, or without either of them
/// <c>pytorch_model.bin</c> or its shards. Tensors go by the names they are stored under; <see cref="Names"/> finds them by the names that models ask
/// for. Tensors that <see cref="Load"/> returns on the CPU view
/// the mapped files: dispose them first.
/// </summary>
public sealed class Checkpoint : IDisposable
{
    /// <summary>The file of a checkpoint that is not sharded.</summary>
    public const string SingleFile = "model.safetensors";

    /// <summary>Which tensor lies in which shard.</summary>
    public const string IndexFile = SingleFile + IndexSuffix;

    private const string IndexSuffix = ".index.json";

    private readonly List<TensorFile> _files;
    private readonly Dictionary<string, TensorFile> _fileOf;

    private Checkpoint(string folder, List<TensorFile> files, Dictionary<string, TensorFile> fileOf)
    {
        Folder = folder;
        _files = files;
        _fileOf = fileOf;
        Names = CheckpointNames.Create(folder, fileOf.Keys);
    }

    /// <summary>Where it lies.</summary>
    public string Folder { get; }

    /// <summary>From the names that models ask for to the names stored.</summary>
    public CheckpointNames Names { get; }

    /// <summary>All tensors.</summary>
    public IEnumerable<StoredTensor> Tensors => _fileOf.Select(pair => pair.Value.Find(pair.Key));

    /// <summary>The files of weights, in the order in which they were opened.</summary>
    public IEnumerable<string> Paths => _files.Select(file => file.Path);

    /// <summary>Opens the weights in <paramref name="folder"/> and checks every header.</summary>
    /// <exception cref="InputException">The folder or a file of it is missing or damaged.</exception>
    public static Checkpoint Open(string folder)
    {
        if (!Directory.Exists(folder)) throw new InputException($"{folder}: no such folder; name a folder with config.json and {SingleFile}");
        List<TensorFile> files = [];
        try
        {
            foreach (string name in (string[])[SingleFile, IndexFile, TorchFile.CheckpointFile, TorchFile.CheckpointFile + IndexSuffix])
            {
                string path = Path.Combine(folder, name);
                if (!File.Exists(path)) continue;
                if (name.EndsWith(IndexSuffix, StringComparison.Ordinal)) return new Checkpoint(folder, files, OpenShards(folder, path, files));
                TensorFile file = TensorFile.Open(path);
                files.Add(file);
                return new Checkpoint(folder, files, file.Tensors.ToDictionary(tensor => tensor.Name, _ => file, StringComparer.Ordinal));
            }

            throw new InputException($"{folder}: none of {SingleFile}, {IndexFile}, {TorchFile.CheckpointFile} is there");
        }
        catch
        {
            foreach (TensorFile file in files) file.Dispose();
            throw;
        }
    }

    /// <summary>Whether there is a tensor of that stored name.</summary>
    public bool Contains(string name) => _fileOf.ContainsKey(name);

    /// <summary>The tensor stored under <paramref name="name"/>.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public StoredTensor Find(string name) => FileOf(name).Find(name);

    /// <summary>The file that holds the tensor stored under <paramref name="name"/>.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public TensorFile FileOf(string name) =>
        _fileOf.TryGetValue(name, out TensorFile? file) ? file : throw new InputException($"{Folder}: the checkpoint has no tensor \"{name}\"");

    /// <summary>The tensor as stored: on the CPU a view of the mapped file, on a device a copy.</summary>
    public Tensor Load(IBackend backend, string name) => FileOf(name).Load(backend, name);

    /// <summary>A tensor of a float type, widened to float32.</summary>
    public float[] ReadFloat32(string name) => FileOf(name).ReadFloat32(name);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (TensorFile file in _files) file.Dispose();
    }

    private static Dictionary<string, TensorFile> OpenShards(string folder, string index, List<TensorFile> files)
    {
        JsonFields map = JsonFields.Read(index).ObjectOrNull("weight_map") ?? throw new InputException($"{index}: field \"weight_map\" is missing");
        Dictionary<string, TensorFile> shards = new(StringComparer.Ordinal), fileOf = new(StringComparer.Ordinal);
        foreach (string name in map.Names)
        {
            string shard = map.Text(name);
            if (!shards.TryGetValue(shard, out TensorFile? file))
            {
                // The index is untrusted: it must not name files outside the folder.
                if (shard.Length == 0 || shard != Path.GetFileName(shard) || shard is "." or "..")
                    throw map.Error(name, $"names \"{shard}\", which is no file of the folder");
                string path = Path.Combine(folder, shard);
                if (!File.Exists(path)) throw new InputException($"{index}: shard {shard} is missing; copy the whole folder");
                file = TensorFile.Open(path);
                files.Add(file);
                shards.Add(shard, file);
            }

            if (!file.Contains(name)) throw new InputException($"{index}: tensor \"{name}\" is not in {shard}");
            fileOf.Add(name, file);
        }

        return fileOf;
    }
}
