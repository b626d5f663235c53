using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>
/// Weights of a Hugging Face folder. On the CPU matrices view the mapped file. What does not fit is collected and named when the network is complete.
/// What the checkpoint lacks comes from <paramref name="fresh"/> where <paramref name="mayBeFresh"/> says so: parts of a head.
/// </summary>
internal sealed class CheckpointWeights(Checkpoint checkpoint, string modelType, IWeightSource? fresh = null, Func<string, bool>? mayBeFresh = null) : IWeightSource
{
    private const int NamedProblems = 20;

    // Above this a tensor that is missing is not stood in for while the others are looked at.
    private const long PlaceholderElements = 1L << 30;

    // Heads of the classes that transformers saves, T5's decoder among them: a backbone does not have them.
    private static readonly string[] s_heads = ["lm_head.", "score.", "classifier.", "pooler.", "cls.", "qa_outputs.", "decoder.", "head."];
    private static readonly string[] s_buffers = [".position_ids", ".token_type_ids", ".inv_freq"];

    // T5 stores its word table under one or several of these names.
    private static readonly Dictionary<string, string> s_aliases = new() { ["shared.weight"] = "encoder.embed_tokens.weight" };
    private readonly List<string> _problems = [];

    /// <inheritdoc/>
    public Tensor Load(IBackend backend, string name, Shape shape, ICollection<IDisposable> owned)
    {
        string canonical = !checkpoint.Names.Contains(name) && s_aliases.TryGetValue(name, out string? alias) ? alias : name;
        if (fresh is not null && mayBeFresh!(name) && IsHead(name) && !checkpoint.Names.Contains(canonical)) return fresh.Load(backend, name, shape, owned);
        if (Problem(canonical, shape) is { } problem)
        {
            _problems.Add(problem);
            if (shape.Count > PlaceholderElements) throw Refuse();
            DeviceMemory memory = backend.Allocate(shape.Count * sizeof(float));
            owned.Add(memory);
            return new Tensor(memory, 0, shape, DType.F32);
        }

        Tensor value = checkpoint.Load(backend, checkpoint.Names.StoredName(canonical));
        owned.Add(value.Memory!);
        return value;
    }

    /// <inheritdoc/>
    public void Complete(IReadOnlySet<string> used)
    {
        HashSet<string> known = [.. used, .. s_aliases.Where(pair => used.Contains(pair.Key)).Select(pair => pair.Value)];
        foreach (string name in checkpoint.Names.Canonical)
        {
            if (known.Contains(name) || IsHead(name)) continue;
            if (!s_buffers.Any(suffix => name.EndsWith(suffix, StringComparison.Ordinal))) _problems.Add($"\"{checkpoint.Names.StoredName(name)}\" does not belong to it");
        }

        if (_problems.Count > 0) throw Refuse();
    }

    /// <inheritdoc/>
    public void Dispose() => checkpoint.Dispose();

    private static bool IsHead(string name) => s_heads.Any(head => name.StartsWith(head, StringComparison.Ordinal));

    private string? Problem(string name, Shape shape)
    {
        if (!checkpoint.Names.Contains(name)) return $"\"{name}\" is missing";
        string stored = checkpoint.Names.StoredName(name);
        StoredTensor tensor = checkpoint.Find(stored);
        if (tensor.Shape != shape) return $"\"{stored}\" is {tensor.Shape} where {shape} is needed";
        if (!checkpoint.FileOf(stored).DTypeOf(stored).IsFloat()) return $"\"{stored}\" has type {tensor.StoredType} where F32, F16 or BF16 is needed";
        return checkpoint.FileOf(stored).IsFinite(stored) ? null : $"\"{stored}\" has values that are infinite or not a number";
    }

    private InputException Refuse()
    {
        string more = _problems.Count > NamedProblems ? $"; and {_problems.Count - NamedProblems} more" : "";
        return new InputException($"{checkpoint.Folder}: the tensors do not make a {modelType} model of this configuration: {string.Join("; ", _problems.Take(NamedProblems))}{more}");
    }
}
