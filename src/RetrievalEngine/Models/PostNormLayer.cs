using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>BERT: h = norm₁(x + attention(x)), y = norm₂(h + mlp(h)).</summary>
internal sealed class PostNormLayer(IBackend backend, AttentionBlock attention, MlpBlock mlp, Norm attentionNorm, Norm mlpNorm) : TransformerLayer
{
    /// <inheritdoc/>
    public override Saved Forward(Tensor x, Tensor y, BatchTensors batch, ulong seed, Arena arena)
    {
        Tensor a = attention.Forward(x, batch, seed, arena, out AttentionBlock.Saved attentionSaved);
        Tensor h = arena.Allocate(x.Shape, backend.ActivationDType);
        Norm.Saved norm1 = attentionNorm.Forward(a, x, sum: a, h, arena);
        Tensor m = mlp.Forward(h, batch, seed, arena, out MlpBlock.Saved mlpSaved);
        Norm.Saved norm2 = mlpNorm.Forward(m, h, sum: m, y, arena);
        return new Saved(norm1, attentionSaved, norm2, mlpSaved);
    }

    /// <inheritdoc/>
    public override void Backward(Tensor d, BatchTensors batch, Saved saved, bool needsInput, Arena scratch)
    {
        ArenaMark mark = scratch.Mark();
        mlpNorm.Backward(d, saved.MlpNorm, d, accumulate: false);
        mlp.Backward(d, saved.Mlp, d, accumulate: true, scratch);
        attentionNorm.Backward(d, saved.AttentionNorm, d, accumulate: false);
        attention.Backward(d, batch, saved.Attention, needsInput ? d : default, accumulate: true, scratch);
        scratch.Release(mark);
    }
}
