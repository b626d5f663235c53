using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Self-attention with its four projections: y = o_proj(attention(rope(q), rope(k), v)).</summary>
internal sealed class AttentionBlock(
    IBackend backend, Linear query, Linear key, Linear value, Linear output, int heads, int kvHeads, int headDim, RopeTable? rope, AttentionOptions options)
{
    private readonly LinearGroup _qkv = new(backend, query, key, value);
    private readonly LinearGroup _output = new(backend, output);

    /// <summary>y [T, H] from x [T, H].</summary>
    public Tensor Forward(Tensor x, BatchTensors batch, ulong seed, Arena arena, out Saved saved)
    {
        long tokens = x.Shape[0];
        Tensor[] qkv = _qkv.Forward(x, Seeds.Derive(seed, 0), arena, out LinearGroup.Saved qkvSaved);
        Tensor q = qkv[0].Reshape(tokens, heads, headDim), k = qkv[1].Reshape(tokens, kvHeads, headDim), v = qkv[2].Reshape(tokens, kvHeads, headDim);
        Rotate(q, k, batch, inverse: false);
        Tensor o = arena.Allocate(q.Shape, backend.ActivationDType), lse = arena.Allocate(new Shape(heads, tokens));
        backend.AttentionForward(q, k, v, batch.CuSeqLens, batch.MaxSeqLen, options, relativeBias: default, o, lse);
        Tensor[] y = _output.Forward(o.Reshape(tokens, (long)heads * headDim), Seeds.Derive(seed, 1), arena, out LinearGroup.Saved outputSaved);
        saved = new Saved(qkvSaved, q, k, v, o, lse, outputSaved);
        return y[0];
    }

    /// <summary>dx [T, H] from dy; dx none where nothing below is trained. Scratch comes from <paramref name="arena"/>.</summary>
    public void Backward(Tensor dy, BatchTensors batch, Saved saved, Tensor dx, bool accumulate, Arena arena)
    {
        long tokens = dy.Shape[0];
        Tensor dO = arena.Allocate(saved.O.Shape, backend.ActivationDType);
        _output.Backward([dy], saved.Output, dO.Reshape(tokens, (long)heads * headDim), accumulate: false);
        Tensor dq = arena.Allocate(saved.Q.Shape, backend.ActivationDType);
        Tensor dk = arena.Allocate(saved.K.Shape, backend.ActivationDType);
        Tensor dv = arena.Allocate(saved.V.Shape, backend.ActivationDType);
        backend.AttentionBackward(dO, saved.Q, saved.K, saved.V, saved.O, saved.Lse, batch.CuSeqLens, batch.MaxSeqLen, options, relativeBias: default, dq, dk, dv, drelativeBias: default);
        Rotate(dq, dk, batch, inverse: true);
        _qkv.Backward([dq.Reshape(tokens, (long)heads * headDim), dk.Reshape(tokens, (long)kvHeads * headDim), dv.Reshape(tokens, (long)kvHeads * headDim)],
            saved.Qkv, dx, accumulate);
    }

    private void Rotate(Tensor q, Tensor k, BatchTensors batch, bool inverse)
    {
        if (rope is null) return;
        (Tensor cos, Tensor sin) = rope.For(batch.MaxSeqLen);
        backend.Rope(q, batch.PositionIds, cos, sin, inverse);
        backend.Rope(k, batch.PositionIds, cos, sin, inverse);
    }

    /// <summary>What backward needs: q and k after rotation.</summary>
    internal readonly record struct Saved(LinearGroup.Saved Qkv, Tensor Q, Tensor K, Tensor V, Tensor O, Tensor Lse, LinearGroup.Saved Output);
}
