using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>
/// What a run will take of a device's memory, told before anything is loaded. All but the activations is exact; those are what texts of full length would need.
/// </summary>
public sealed record MemoryPlan
{
    /// <summary>The model's matrices and vectors, as they are kept on the device.</summary>
    public long Weights { get; init; }

    /// <summary>LoRA adapters.</summary>
    public long Adapters { get; init; }

    /// <summary>F32 copies, gradients and both moments of what is trained.</summary>
    public long Training { get; init; }

    /// <summary>What layers keep and need while they work, at most.</summary>
    public long Activations { get; init; }

    /// <summary>Vectors that are searched; what has no room stays on the host and passes through the device in every search.</summary>
    public long Index { get; init; }

    /// <summary>Bytes that are taken whatever the texts are.</summary>
    public long Fixed => Weights + Adapters + Training;

    /// <summary>
    /// The plan of a model that <paramref name="tokens"/> tokens pass through at once; with <paramref name="keptTokens"/> more than 0, in training, which keeps the
    /// activations of so many tokens (<paramref name="checkpointing"/>: of each layer only the input).
    /// </summary>
    /// <param name="backend">Where it will run.</param>
    /// <param name="modelFolder">The checkpoint.</param>
    /// <param name="adapter">The adapter that will be put on it, or null.</param>
    /// <param name="tokens">Tokens of the largest batch.</param>
    /// <param name="keptTokens">Tokens of all batches of a training step; 0 for inference.</param>
    /// <param name="checkpointing">Whether training computes layers again for the backward pass.</param>
    /// <exception cref="InputException">The folder holds no model that can be run.</exception>
    public static MemoryPlan Of(IBackend backend, string modelFolder, AdapterConfig? adapter, long tokens, long keptTokens = 0, bool checkpointing = false)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ModelConfig config = ModelConfig.Load(modelFolder);
        using Checkpoint checkpoint = Checkpoint.Open(modelFolder);
        using Transformer model = Transformer.Plan(backend, config);
        bool full = keptTokens > 0 && adapter is null;
        long Stored(Parameter p) => p.Value.Count * ModelBuilder.Kept(backend, Type(checkpoint.Names.StoredName(p.Name)), p.Value.Shape.Rank == 1, full).Size();
        DType Type(string name) => checkpoint.FileOf(name).DTypeOf(name);
        IEnumerable<Linear> adapted = adapter is null ? [] : model.Linears.Where(linear => adapter.Targets(linear.Name));
        long trained = full ? model.Parameters.Sum(p => p.Value.Count) : 0;
        long lora = adapted.Sum(linear => adapter!.RankOf(linear.Name) * (linear.Inputs + linear.Outputs));
        int size = backend.ActivationDType.Size();
        long layer = size * PerToken(config), backward = size * BackwardPerToken(config), hidden = size * config.HiddenSize;
        long activations = keptTokens == 0 ? tokens * (layer + 2 * hidden)
            : checkpointing ? (config.NumHiddenLayers + 3) * keptTokens * hidden + tokens * (layer + backward)
            : keptTokens * (config.NumHiddenLayers * layer + 3 * hidden) + tokens * backward;
        return new MemoryPlan
        {
            Weights = model.Parameters.Sum(Stored),
            Adapters = lora * sizeof(float),
            Training = keptTokens > 0 ? 4 * sizeof(float) * (trained + lora) : 0,
            Activations = activations,
        };
    }

    /// <summary>In words, without what is nothing: <c>weights 13.5 GB, activations up to 2.1 GB; 15.6 of 79.1 GB free</c>.</summary>
    public string Describe(long free)
    {
        List<string> parts = [];
        void Add(string name, long bytes)
        {
            if (bytes > 0) parts.Add($"{name} {Gigabytes(bytes)} GB");
        }

        Add("weights", Weights);
        Add("adapters", Adapters);
        Add("gradients and moments", Training);
        Add("index", Index);
        Add("activations up to", Activations);
        return $"{string.Join(", ", parts)}; {Gigabytes(Fixed + Index + Activations)} of {Gigabytes(free)} GB free";
    }

    /// <summary>Refuses what cannot fit into <paramref name="free"/> bytes whatever the texts are; the message has the numbers.</summary>
    /// <exception cref="InputException">It does not fit.</exception>
    public void Require(long free, string backend)
    {
        if (Fixed > free) throw new InputException($"{backend} has not enough memory: {Describe(free)}");
    }

    /// <summary>Elements that a layer keeps of one token: two norms, q, k, v, attention, its projection, the feed-forward block, the sum.</summary>
    private static long PerToken(ModelConfig config) =>
        5L * config.HiddenSize + 2L * Heads(config) + (config.IsGated ? 3L : 2L) * config.IntermediateSize;

    /// <summary>Elements that the backward pass of a layer needs beside what was kept.</summary>
    private static long BackwardPerToken(ModelConfig config) =>
        4L * config.HiddenSize + 2L * Heads(config) + (config.IsGated ? 2L : 1L) * config.IntermediateSize;

    private static long Heads(ModelConfig config) => (long)config.HeadDim * (config.NumAttentionHeads + config.NumKeyValueHeads);

    private static string Gigabytes(long bytes) => (bytes / 1e9).ToString(bytes < 100_000_000 ? "F3" : "F1", CultureInfo.InvariantCulture);
}
