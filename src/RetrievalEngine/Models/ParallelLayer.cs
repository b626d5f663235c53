using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Phi: y = x + attention(norm(x)) + mlp(norm(x)).</summary>
internal sealed class ParallelLayer(IBackend backend, AttentionBlock attention, MlpBlock mlp, Norm norm) : TransformerLayer
{
    /// <inheritdoc/>
    public override Saved Forward(Tensor x, Tensor y, BatchTensors batch, ulong seed, Arena arena)
    {
        Tensor n = arena.Allocate(x.Shape, backend.ActivationDType);
        Norm.Saved normSaved = norm.Forward(x, residual: default, sum: default, n, arena);
        Tensor a = attention.Forward(n, batch, seed, arena, out AttentionBlock.Saved attentionSaved);
        Tensor m = mlp.Forward(n, batch, seed, arena, out MlpBlock.Saved mlpSaved);
        backend.Add(a, m, y);
        backend.Add(y, x, y);
        return new Saved(normSaved, attentionSaved, default, mlpSaved);
    }

    /// <inheritdoc/>
    public override void Backward(Tensor d, BatchTensors batch, Saved saved, bool needsInput, Arena scratch)
    {
        ArenaMark mark = scratch.Mark();
        needsInput |= norm.Weight.IsTrained;
        Tensor dn = needsInput ? scratch.Allocate(d.Shape, backend.ActivationDType) : default;
        mlp.Backward(d, saved.Mlp, dn, accumulate: false, scratch);
        attention.Backward(d, batch, saved.Attention, dn, accumulate: true, scratch);
        if (needsInput) norm.Backward(dn, saved.AttentionNorm, d, accumulate: true);
        scratch.Release(mark);
    }
}
