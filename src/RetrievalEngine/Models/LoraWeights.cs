using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Gives a network LoRA adapters: fresh ones, or those of a PEFT folder; and takes them out again, as a folder or merged into the weights.</summary>
public static class LoraWeights
{
    private const string Root = "base_model.model.";

    /// <summary>The name under which PEFT stores the parameter <paramref name="name"/> of an adapter.</summary>
    public static string PeftName(string name) => Root + name;

    /// <summary>Fresh adapters on every linear map that <paramref name="config"/> targets: A uniform in ±1/√in as PEFT's default, B zero, so that the network computes what it did.</summary>
    /// <exception cref="InputException">No linear map of the network is targeted.</exception>
    public static void Attach(IBackend backend, Transformer model, AdapterConfig config, ulong seed)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(config);
        Linear[] targets = [.. model.Linears.Where(linear => config.Targets(linear.Name) && !config.Saves(linear.Name))];
        if (targets.Length == 0)
        {
            IEnumerable<string> ends = model.Linears.Select(linear => linear.Name[(linear.Name.LastIndexOf('.') + 1)..]).Distinct();
            throw new InputException($"the LoRA target modules {string.Join(",", config.TargetModules)} name no linear map of the model; it has {string.Join(", ", ends)}");
        }

        foreach (Linear linear in targets)
        {
            int rank = config.RankOf(linear.Name);
            float[] a = new float[rank * linear.Inputs];
            double bound = 1 / Math.Sqrt(linear.Inputs);
            ulong stream = seed ^ RandomWeights.Hash(Adapter.NameOfA(linear.Name));
            for (int i = 0; i < a.Length; i++) a[i] = (float)(bound * ((2 * RandomWeights.Uniform(stream, (ulong)i)) - 1));
            Attach(backend, model, linear, a, new float[linear.Outputs * rank], rank, config);
        }
    }

    /// <summary>
    /// The adapters of the PEFT folder <paramref name="folder"/>; returns its configuration. On a map that has an adapter already both act: W + s₁·B₁·A₁ + s₂·B₂·A₂.
    /// </summary>
    /// <exception cref="InputException">The folder is damaged, or is not for this network.</exception>
    public static AdapterConfig Load(IBackend backend, Transformer model, string folder)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(model);
        using Adapter adapter = Adapter.Load(folder);
        Load(backend, model, adapter);
        return adapter.Config;
    }

    /// <summary>Puts <paramref name="adapter"/> on <paramref name="model"/>: LoRA on linear maps, and whole weights of a score head.</summary>
    internal static void Load(IBackend backend, Transformer model, Adapter adapter)
    {
        string folder = adapter.Folder;
        foreach (string name in adapter.Saved.Canonical)
        {
            Parameter? parameter = model.Head?.Parameters.FirstOrDefault(p => p.Name == name);
            if (parameter is null) throw new InputException($"{folder}: the adapter replaces {name} (modules_to_save), which {(model.Head is null ? "a retriever" : "the model")} does not have");
            Replace(backend, model, parameter, adapter.ReadSaved(name), $"{folder}: {name}");
        }

        Dictionary<string, Linear> linears = model.Linears.ToDictionary(linear => linear.Name, StringComparer.Ordinal);
        foreach (AdapterModule module in adapter.Modules)
        {
            // BERT's pooler is a head: PEFT adapts it where a target's name fits, but nothing of a retriever passes through it.
            if (model.Head is null && module.Name.StartsWith("pooler.", StringComparison.Ordinal)) continue;
            if (!linears.TryGetValue(module.Name, out Linear? linear)) throw new InputException($"{folder}: the adapter is for {module.Name}, which the model does not have");
            if (module.Inputs != linear.Inputs || module.Outputs != linear.Outputs)
                throw new InputException($"{folder}: the adapter of {module.Name} maps {module.Inputs} to {module.Outputs} but the model maps {linear.Inputs} to {linear.Outputs}");
            Attach(backend, model, linear, adapter.Weights.ReadFloat32(module.A.Name), adapter.Weights.ReadFloat32(module.B.Name), module.Rank, adapter.Config);
        }
    }

    /// <summary>
    /// Writes the adapters of <paramref name="model"/>, and what of its head <paramref name="config"/> saves in full, as a PEFT folder, each file in one step.
    /// </summary>
    public static void Save(IBackend backend, Transformer model, AdapterConfig config, string folder)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(config);
        TensorSource Source(Parameter p) => TensorSource.FromTensor(model.StoredName(p), backend, p.Value, DType.F32);
        Adapter.Save(folder, config, [.. model.LoraParameters.Select(Source), .. SavedParameters(model, config).Select(Source)]);
    }

    /// <summary>The parameters of the head that an adapter of <paramref name="config"/> holds in full: <c>modules_to_save</c>.</summary>
    public static IReadOnlyList<Parameter> SavedParameters(Transformer model, AdapterConfig config)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(config);
        return [.. (model.Head?.Parameters ?? []).Where(p => config.Saves(p.Name[..p.Name.LastIndexOf('.')]))];
    }

    /// <summary>W + scale · B·A as float32; <paramref name="weight"/> itself, widened, without an adapter.</summary>
    public static float[] Merged(IBackend backend, Tensor weight, LoraAdapter? lora)
    {
        ArgumentNullException.ThrowIfNull(backend);
        using DeviceMemory memory = backend.Allocate(weight.Count * sizeof(float));
        Tensor merged = new(memory, 0, weight.Shape, DType.F32);
        backend.Cast(weight, merged);
        if (lora is not null) backend.MatMul(lora.B.Value, lora.A.Value, merged, alpha: lora.Scale, accumulate: true);
        return backend.ToArray(merged);
    }

    private static void Replace(IBackend backend, Transformer model, Parameter parameter, float[] values, string where)
    {
        if (values.Length != parameter.Value.Count)
            throw new InputException($"{where} has {values.Length} elements but the model's is {parameter.Value.Shape}");
        DeviceMemory memory = backend.Allocate(values.Length * sizeof(float));
        model.Own(memory);
        Tensor tensor = new(memory, 0, parameter.Value.Shape, DType.F32);
        backend.Upload<float>(values, tensor);
        parameter.Value = tensor;
    }

    private static void Attach(IBackend backend, Transformer model, Linear linear, float[] a, float[] b, int rank, AdapterConfig config)
    {
        float scale = config.ScaleOf(linear.Name);
        if (linear.Lora is { } present)
        {
            // Two adapters are one of the ranks of both, with the factors inside B.
            (a, b) = Stack(backend.ToArray(present.A.Value), backend.ToArray(present.B.Value), present.Scale, a, b, scale, (int)linear.Outputs);
            (rank, scale) = (a.Length / (int)linear.Inputs, 1);
        }

        DeviceMemory memory = backend.Allocate((a.Length + b.Length) * sizeof(float));
        model.Own(memory);
        Tensor tensorA = new(memory, 0, new Shape(rank, linear.Inputs), DType.F32), tensorB = new(memory, tensorA.Bytes, new Shape(linear.Outputs, rank), DType.F32);
        backend.Upload<float>(a, tensorA);
        backend.Upload<float>(b, tensorB);
        linear.Lora = new LoraAdapter(
            new Parameter(Adapter.NameOfA(linear.Name), tensorA), new Parameter(Adapter.NameOfB(linear.Name), tensorB), scale, (float)config.LoraDropout);
    }

    /// <summary>A = [A₁; A₂] and B = [s₁·B₁, s₂·B₂].</summary>
    private static (float[] A, float[] B) Stack(float[] a1, float[] b1, float scale1, float[] a2, float[] b2, float scale2, int outputs)
    {
        int rank1 = b1.Length / outputs, rank2 = b2.Length / outputs;
        float[] b = new float[b1.Length + b2.Length];
        for (int o = 0; o < outputs; o++)
        {
            for (int r = 0; r < rank1; r++) b[(o * (rank1 + rank2)) + r] = scale1 * b1[(o * rank1) + r];
            for (int r = 0; r < rank2; r++) b[(o * (rank1 + rank2)) + rank1 + r] = scale2 * b2[(o * rank2) + r];
        }

        return ([.. a1, .. a2], b);
    }
}
