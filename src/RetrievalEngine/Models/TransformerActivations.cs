using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>What one forward pass keeps for its backward pass. Valid until the arena it lies in is released.</summary>
public sealed class TransformerActivations
{
    internal TransformerActivations(BatchTensors batch, ulong seed, int layers)
    {
        Batch = batch;
        Seed = seed;
        Inputs = new Tensor[layers];
        Layers = new TransformerLayer.Saved[layers];
    }

    /// <summary>Hidden states [T, H] after the final norm.</summary>
    public Tensor Hidden { get; internal set; }

    /// <summary>Cumulative lengths [B+1] I32 of the batch, on the device.</summary>
    public Tensor CuSeqLens => Batch.CuSeqLens;

    internal BatchTensors Batch { get; }

    internal ulong Seed { get; }

    internal InputEmbedding.Saved Embedding { get; set; }

    /// <summary>Input [T, H] of each layer: all that is kept under gradient checkpointing.</summary>
    internal Tensor[] Inputs { get; }

    /// <summary>What each layer keeps; unset under gradient checkpointing.</summary>
    internal TransformerLayer.Saved[] Layers { get; }

    internal bool IsCheckpointed { get; set; }

    internal Norm.Saved FinalNorm { get; set; }
}
