using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// A PEFT adapter folder: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c> (or <c>adapter_model.bin</c>) with
/// <c>base_model.model.MODULE.lora_A.weight</c> [R, in],
/// <c>….lora_B.weight</c> [out, R] and the weights of <c>modules_to_save</c>. Names come out canonical, whichever class of transformers the adapter
/// was trained on.
/// </summary>
public sealed class Adapter : IDisposable
{
    /// <summary>The file of weights.</summary>
    public const string WeightsFile = "adapter_model.safetensors";

    private const string Root = "base_model.model.", SuffixA = ".lora_A.weight", SuffixB = ".lora_B.weight";

    private Adapter(
        string folder, AdapterConfig config, TensorFile weights, IReadOnlyList<AdapterModule> modules, CheckpointNames saved, string prefix)
    {
        Folder = folder;
        Config = config;
        Weights = weights;
        Modules = modules;
        Saved = saved;
        ModulePrefix = prefix;
    }

    /// <summary>Where it lies.</summary>
    public string Folder { get; }

    /// <summary><c>adapter_config.json</c>.</summary>
    public AdapterConfig Config { get; }

    /// <summary>The file that holds the tensors of <see cref="Modules"/> and <see cref="Saved"/>.</summary>
    public TensorFile Weights { get; }

    /// <summary>The adapted linear maps, in the order of the file.</summary>
    public IReadOnlyList<AdapterModule> Modules { get; }

    /// <summary>
    /// Weights trained in full: from <c>score.weight</c> to the name stored in <see cref="Weights"/> without <c>base_model.model.</c>
    /// (<see cref="ReadSaved"/>).
    /// </summary>
    public CheckpointNames Saved { get; }

    /// <summary>What stands before the canonical names of the modules in the file: <c>model.</c>, <c>bert.</c> or nothing.</summary>
    public string ModulePrefix { get; }

    /// <summary>The name of A for the module <paramref name="module"/>, for <see cref="Save"/>.</summary>
    public static string NameOfA(string module) => module + SuffixA;

    /// <summary>The name of B for the module <paramref name="module"/>, for <see cref="Save"/>.</summary>
    public static string NameOfB(string module) => module + SuffixB;

    /// <summary>The file of weights in <paramref name="folder"/>: <see cref="WeightsFile"/>, or <c>adapter_model.bin</c> where only that is there.</summary>
    public static string FindWeights(string folder)
    {
        string path = Path.Combine(folder, WeightsFile), torch = Path.Combine(folder, TorchFile.AdapterFile);
        return !File.Exists(path) && File.Exists(torch) ? torch : path;
    }

    /// <summary>Opens an adapter and checks that every tensor in it is understood.</summary>
    /// <exception cref="InputException">Something is missing, damaged, or not a plain LoRA.</exception>
    public static Adapter Load(string folder)
    {
        AdapterConfig config = AdapterConfig.Load(folder);
        string path = FindWeights(folder);
        TensorFile weights = TensorFile.Open(path);
        try
        {
            List<string> modules = [], saved = [];
            foreach (StoredTensor tensor in weights.Tensors)
            {
                string name = tensor.Name;
                if (!name.StartsWith(Root, StringComparison.Ordinal)) throw Unexpected(path, name);
                if (!weights.DTypeOf(name).IsFloat())
                    throw new InputException($"{path}: tensor \"{name}\" has type {tensor.StoredType}; weights must be F32, F16 or BF16");
                if (!weights.IsFinite(name)) throw new InputException($"{path}: tensor \"{name}\" has values that are infinite or not a number");
                name = name[Root.Length..];
                if (name.EndsWith(SuffixA, StringComparison.Ordinal)) modules.Add(name[..^SuffixA.Length]);
                else if (name.EndsWith(SuffixB, StringComparison.Ordinal)) weights.Find(Root + NameOfA(name[..^SuffixB.Length]));
                else if (name.LastIndexOf('.') is > 0 and int dot && config.Saves(name[..dot])) saved.Add(name);
                else throw Unexpected(path, tensor.Name);
            }

            CheckpointNames names = CheckpointNames.Create(path, modules);
            if (modules.Count == 0 && saved.Count == 0) throw new InputException($"{path}: the adapter holds no tensors");
            string prefix = modules.Count > 0 ? CheckpointNames.PrefixOf(modules[0]) : "";
            return new Adapter(folder, config, weights, [.. names.Canonical.Select(name => Module(config, weights, name, names.StoredName(name)))],
                CheckpointNames.Create(path, saved), prefix);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>A weight of <see cref="Saved"/> by its canonical name, as float32.</summary>
    public float[] ReadSaved(string canonical) => Weights.ReadFloat32(Root + Saved.StoredName(canonical));

    /// <summary>
    /// Writes an adapter into <paramref name="folder"/>, each file in one step. <paramref name="tensors"/> are
    /// <see cref="NameOfA"/> and <see cref="NameOfB"/> of a module, and weights of <c>modules_to_save</c>, by the names of the class that will load
    /// it: canonical for a bare model, the backbone's with <c>model.</c> or <c>bert.</c> before for one with a head.
    /// </summary>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    public static void Save(string folder, AdapterConfig config, IReadOnlyCollection<TensorSource> tensors)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(tensors);
        TensorSource[] stored = [.. tensors.Select(tensor => tensor.Renamed(Root + tensor.Name))];
        SafeTensorsWriter.Write(Path.Combine(folder, WeightsFile), stored, CheckpointWriter.Metadata);
        AtomicFile.WriteText(Path.Combine(folder, AdapterConfig.FileName), config.ToJson());
    }

    /// <inheritdoc/>
    public void Dispose() => Weights.Dispose();

    private static AdapterModule Module(AdapterConfig config, TensorFile weights, string name, string stored)
    {
        StoredTensor a = weights.Find(Root + NameOfA(stored)), b = weights.Find(Root + NameOfB(stored));
        long rank = config.RankOf(name);
        if (a.Shape.Rank != 2 || b.Shape.Rank != 2 || a.Shape[0] != rank || b.Shape[1] != rank)
            throw new InputException($"{weights.Path}: module {stored} has lora_A {a.Shape} and lora_B {b.Shape}, which is not rank {rank}");
        if (a.Shape[1] > int.MaxValue || b.Shape[0] > int.MaxValue) throw new InputException($"{weights.Path}: module {stored} is too wide");
        return new AdapterModule(name, config.ScaleOf(name), a, b);
    }

    private static InputException Unexpected(string path, string name) =>
        new($"{path}: tensor \"{name}\" is neither a LoRA of a linear map nor part of modules_to_save, which is not supported");
}
