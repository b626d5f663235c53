using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Weights of a Hugging Face folder. On the CPU matrices view the mapped file.</summary>
internal sealed class CheckpointWeights(Checkpoint checkpoint, string modelType) : IWeightSource
{
    private static readonly string[] s_backbone = ["layers.", "encoder.", "embeddings.", "embed_tokens.", "norm."];
    private static readonly string[] s_buffers = [".position_ids", ".token_type_ids", ".inv_freq"];

    /// <inheritdoc/>
    public Tensor Load(IBackend backend, string name, Shape shape, ICollection<IDisposable> owned)
    {
        string stored = checkpoint.Names.StoredName(name);
        Shape found = checkpoint.Find(stored).Shape;
        if (found != shape) throw new InputException($"{checkpoint.Folder}: tensor \"{stored}\" is {found} but the configuration asks for {shape}");
        Tensor value = checkpoint.Load(backend, stored);
        owned.Add(value.Memory!);
        return value;
    }

    /// <inheritdoc/>
    public void Complete(IReadOnlySet<string> used)
    {
        foreach (string name in checkpoint.Names.Canonical)
        {
            if (used.Contains(name) || !s_backbone.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal))) continue;
            if (!s_buffers.Any(suffix => name.EndsWith(suffix, StringComparison.Ordinal)))
                throw new InputException($"{checkpoint.Folder}: tensor \"{name}\" does not belong to a {modelType} model of this configuration");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => checkpoint.Dispose();
}
