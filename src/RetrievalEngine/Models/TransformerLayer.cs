using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Attention and feed-forward around a residual stream; how their norms stand is what the kinds of layer differ in.</summary>
internal abstract class TransformerLayer
{
    /// <summary>Writes y [T, H]; everything else is allocated in <paramref name="arena"/>.</summary>
    public abstract Saved Forward(Tensor x, Tensor y, BatchTensors batch, ulong seed, Arena arena);

    /// <summary>
    /// Turns <paramref name="d"/> from the gradient of y into that of x, in place, and adds the parameters' gradients. Where nothing below is trained
    /// (<paramref name="needsInput"/> false), d is left undefined. Scratch is taken from <paramref name="scratch"/> and given back.
    /// </summary>
    public abstract void Backward(Tensor d, BatchTensors batch, Saved saved, bool needsInput, Arena scratch);

    /// <summary>What backward needs.</summary>
    internal readonly record struct Saved(
        Norm.Saved AttentionNorm, AttentionBlock.Saved Attention, Norm.Saved MlpNorm, MlpBlock.Saved Mlp, Norm.Saved AttentionOutputNorm = default,
        Norm.Saved MlpOutputNorm = default);
}
