using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>
/// Attention and feed-forward with their norms around a residual stream. Pre-norm (Llama): h = x + attention(norm₁(x)), y = h + mlp(norm₂(h)).
/// Post-norm (BERT): h = norm₁(x + attention(x)), y = norm₂(h + mlp(h)).
/// </summary>
internal sealed class TransformerLayer(IBackend backend, AttentionBlock attention, MlpBlock mlp, Norm attentionNorm, Norm mlpNorm, bool postNorm)
{
    /// <summary>Writes y [T, H]; everything else is allocated in <paramref name="arena"/>.</summary>
    public Saved Forward(Tensor x, Tensor y, BatchTensors batch, ulong seed, Arena arena)
    {
        if (postNorm)
        {
            Tensor a = attention.Forward(x, batch, seed, arena, out AttentionBlock.Saved attentionSaved);
            Tensor h = arena.Allocate(x.Shape, backend.ActivationDType);
            Norm.Saved norm1 = attentionNorm.Forward(a, x, sum: a, h, arena);
            Tensor m = mlp.Forward(h, seed, arena, out MlpBlock.Saved mlpSaved);
            Norm.Saved norm2 = mlpNorm.Forward(m, h, sum: m, y, arena);
            return new Saved(norm1, attentionSaved, norm2, mlpSaved);
        }
        else
        {
            Tensor n = arena.Allocate(x.Shape, backend.ActivationDType);
            Norm.Saved norm1 = attentionNorm.Forward(x, residual: default, sum: default, n, arena);
            Tensor h = attention.Forward(n, batch, seed, arena, out AttentionBlock.Saved attentionSaved);
            Tensor n2 = arena.Allocate(x.Shape, backend.ActivationDType);
            Norm.Saved norm2 = mlpNorm.Forward(h, x, sum: h, n2, arena);
            Tensor m = mlp.Forward(n2, seed, arena, out MlpBlock.Saved mlpSaved);
            backend.Add(h, m, y);
            return new Saved(norm1, attentionSaved, norm2, mlpSaved);
        }
    }

    /// <summary>
    /// Turns <paramref name="d"/> from the gradient of y into that of x, in place, and adds the parameters' gradients. Where nothing below is trained
    /// (<paramref name="needsInput"/> false), d is left undefined. Scratch is taken from <paramref name="scratch"/> and given back.
    /// </summary>
    public void Backward(Tensor d, BatchTensors batch, Saved saved, bool needsInput, Arena scratch)
    {
        ArenaMark mark = scratch.Mark();
        if (postNorm)
        {
            mlpNorm.Backward(d, saved.MlpNorm, d, accumulate: false);
            mlp.Backward(d, saved.Mlp, d, accumulate: true, scratch);
            attentionNorm.Backward(d, saved.AttentionNorm, d, accumulate: false);
            attention.Backward(d, batch, saved.Attention, needsInput ? d : default, accumulate: true, scratch);
        }
        else
        {
            Tensor dn = scratch.Allocate(d.Shape, backend.ActivationDType);
            mlp.Backward(d, saved.Mlp, dn, accumulate: false, scratch);
            mlpNorm.Backward(dn, saved.MlpNorm, d, accumulate: true);
            needsInput |= attentionNorm.Weight.IsTrained;
            attention.Backward(d, batch, saved.Attention, needsInput ? dn : default, accumulate: false, scratch);
            if (needsInput) attentionNorm.Backward(dn, saved.AttentionNorm, d, accumulate: true);
        }

        scratch.Release(mark);
    }

    /// <summary>What backward needs.</summary>
    internal readonly record struct Saved(Norm.Saved AttentionNorm, AttentionBlock.Saved Attention, Norm.Saved MlpNorm, MlpBlock.Saved Mlp);
}
