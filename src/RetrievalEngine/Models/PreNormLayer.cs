using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>
/// Llama: h = x + attention(norm₁(x)), y = h + mlp(norm₂(h)). ModernBERT's first layer has no norm₁; Gemma 2 also has norms behind attention and mlp.
/// </summary>
internal sealed class PreNormLayer(IBackend backend, AttentionBlock attention, MlpBlock mlp, Norm? attentionNorm, Norm mlpNorm) : TransformerLayer
{
    /// <summary>Gemma 2: the norms of what attention and mlp give.</summary>
    public (Norm Attention, Norm Mlp)? OutputNorms { get; init; }

    /// <inheritdoc/>
    public override Saved Forward(Tensor x, Tensor y, BatchTensors batch, ulong seed, Arena arena)
    {
        (Tensor n, Norm.Saved norm1) = Normalize(attentionNorm, x, arena);
        Tensor a = attention.Forward(n, batch, seed, arena, out AttentionBlock.Saved attentionSaved);
        (Tensor h, Norm.Saved norm2) = Normalize(OutputNorms?.Attention, a, arena);
        Tensor n2 = arena.Allocate(x.Shape, backend.ActivationDType);
        Norm.Saved norm3 = mlpNorm.Forward(h, x, sum: h, n2, arena);
        Tensor m = mlp.Forward(n2, batch, seed, arena, out MlpBlock.Saved mlpSaved);
        (m, Norm.Saved norm4) = Normalize(OutputNorms?.Mlp, m, arena);
        backend.Add(h, m, y);
        return new Saved(norm1, attentionSaved, norm3, mlpSaved, norm2, norm4);
    }

    /// <inheritdoc/>
    public override void Backward(Tensor d, BatchTensors batch, Saved saved, bool needsInput, Arena scratch)
    {
        ArenaMark mark = scratch.Mark();
        Tensor dn = scratch.Allocate(d.Shape, backend.ActivationDType), output = OutputNorms is null ? d : scratch.Allocate(d.Shape, backend.ActivationDType);
        OutputNorms?.Mlp.Backward(d, saved.MlpOutputNorm, output, accumulate: false);
        mlp.Backward(output, saved.Mlp, dn, accumulate: false, scratch);
        mlpNorm.Backward(dn, saved.MlpNorm, d, accumulate: true);
        OutputNorms?.Attention.Backward(d, saved.AttentionOutputNorm, output, accumulate: false);
        if (attentionNorm is null)
        {
            attention.Backward(output, batch, saved.Attention, needsInput ? d : default, accumulate: true, scratch);
        }
        else
        {
            needsInput |= attentionNorm.Weight.IsTrained;
            attention.Backward(output, batch, saved.Attention, needsInput ? dn : default, accumulate: false, scratch);
            if (needsInput) attentionNorm.Backward(dn, saved.AttentionNorm, d, accumulate: true);
        }

        scratch.Release(mark);
    }

    private (Tensor Y, Norm.Saved Saved) Normalize(Norm? norm, Tensor x, Arena arena)
    {
        if (norm is null) return (x, default);
        Tensor y = arena.Allocate(x.Shape, backend.ActivationDType);
        return (y, norm.Forward(x, residual: default, sum: default, y, arena));
    }
}
