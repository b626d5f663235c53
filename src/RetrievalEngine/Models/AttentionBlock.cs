using RetrievalEngine.Compute;

namespace RetrievalEngine.Models;

/// <summary>Self-attention with its four projections: y = o_proj(attention(rope(norm(q)), rope(norm(k)), v)).</summary>
internal sealed class AttentionBlock(
    IBackend backend, LinearPart query, LinearPart key, LinearPart value, Linear output, int headDim, RopeTable? rope, AttentionOptions options)
{
    private readonly LinearGroup _qkv = new(backend, query, key, value);
    private readonly LinearGroup _output = new(backend, output);
    private readonly long _heads = query.Outputs / headDim;

    /// <summary>Qwen3: the norms of each head of q and k.</summary>
    public (Norm Query, Norm Key)? HeadNorms { get; init; }

    /// <summary>T5: the logits' table of relative positions [buckets, heads], which all layers share.</summary>
    public Parameter? RelativeBias { get; init; }

    /// <summary>y [T, H] from x [T, H].</summary>
    public Tensor Forward(Tensor x, BatchTensors batch, ulong seed, Arena arena, out Saved saved)
    {
        Tensor[] qkv = _qkv.Forward(x, Seeds.Derive(seed, 0), arena, out LinearGroup.Saved qkvSaved);
        Tensor q = Heads(qkv[0]), k = Heads(qkv[1]), v = Heads(qkv[2]);
        (Norm.Saved Query, Norm.Saved Key) normsSaved = default;
        if (HeadNorms is { } norms) (q, k) = (Normalize(norms.Query, q, arena, out normsSaved.Query), Normalize(norms.Key, k, arena, out normsSaved.Key));
        Rotate(q, k, batch, inverse: false);
        if (batch.Shared is { } whole) (q, k, v) = (Gather(q, whole.Rows, arena), Gather(k, whole.Rows, arena), Gather(v, whole.Rows, arena));
        Tensor o = arena.Allocate(q.Shape, backend.ActivationDType), lse = arena.Allocate(new Shape(_heads, q.Shape[0]));
        backend.AttentionForward(q, k, v, batch.Shared?.CuSeqLens ?? batch.CuSeqLens, batch.MaxSeqLen, options, RelativeBias?.Value ?? default, o, lse,
            batch.Offsets);
        if (batch.Shared is { } pieces) o = Gather(o, pieces.Back, arena);
        Tensor[] y = _output.Forward(Flat(o), Seeds.Derive(seed, 1), arena, out LinearGroup.Saved outputSaved);
        saved = new Saved(qkvSaved, normsSaved.Query, normsSaved.Key, q, k, v, o, lse, outputSaved);
        return y[0];
    }

    /// <summary>dx [T, H] from dy; dx none where nothing below is trained. Scratch comes from <paramref name="arena"/>.</summary>
    public void Backward(Tensor dy, BatchTensors batch, Saved saved, Tensor dx, bool accumulate, Arena arena)
    {
        Tensor dO = arena.Allocate(saved.O.Shape, backend.ActivationDType);
        _output.Backward([dy], saved.Output, Flat(dO), accumulate: false);
        Tensor dq = arena.Allocate(saved.Q.Shape, backend.ActivationDType);
        Tensor dk = arena.Allocate(saved.K.Shape, backend.ActivationDType);
        Tensor dv = arena.Allocate(saved.V.Shape, backend.ActivationDType);
        backend.AttentionBackward(dO, saved.Q, saved.K, saved.V, saved.O, saved.Lse, batch.CuSeqLens, batch.MaxSeqLen, options,
            RelativeBias?.Value ?? default, dq, dk, dv, RelativeBias?.Gradient ?? default, batch.Offsets);
        Rotate(dq, dk, batch, inverse: true);
        if (HeadNorms is { } norms)
        {
            norms.Query.Backward(Rows(dq), saved.QueryNorm, Rows(dq), accumulate: false);
            norms.Key.Backward(Rows(dk), saved.KeyNorm, Rows(dk), accumulate: false);
        }

        _qkv.Backward([Flat(dq), Flat(dk), Flat(dv)], saved.Qkv, dx, accumulate);
    }

    private static Tensor Flat(Tensor heads) => heads.Reshape(heads.Shape[0], heads.Shape[1] * heads.Shape[2]);

    private static Tensor Rows(Tensor heads) => heads.Reshape(heads.Shape[0] * heads.Shape[1], heads.Shape[2]);

    private Tensor Heads(Tensor flat) => flat.Reshape(flat.Shape[0], flat.Shape[1] / headDim, headDim);

    /// <summary>Rows <paramref name="ids"/> [E] I32 of x [T, heads, D], copied.</summary>
    private Tensor Gather(Tensor x, Tensor ids, Arena arena)
    {
        Tensor y = arena.Allocate(new Shape(ids.Count, x.Shape[1], x.Shape[2]), backend.ActivationDType);
        backend.EmbeddingForward(Flat(x), ids, 1, Flat(y), accumulate: false);
        return y;
    }

    private Tensor Normalize(Norm norm, Tensor x, Arena arena, out Norm.Saved saved)
    {
        Tensor y = arena.Allocate(x.Shape, backend.ActivationDType);
        saved = norm.Forward(Rows(x), residual: default, sum: default, Rows(y), arena);
        return y;
    }

    private void Rotate(Tensor q, Tensor k, BatchTensors batch, bool inverse)
    {
        if (rope is null) return;
        (Tensor cos, Tensor sin) = rope.For(batch.MaxSeqLen);
        backend.Rope(q, batch.PositionIds, cos, sin, inverse);
        backend.Rope(k, batch.PositionIds, cos, sin, inverse);
    }

    /// <summary>What backward needs: q and k after rotation.</summary>
    internal readonly record struct Saved(
        LinearGroup.Saved Qkv, Norm.Saved QueryNorm, Norm.Saved KeyNorm, Tensor Q, Tensor K, Tensor V, Tensor O, Tensor Lse, LinearGroup.Saved Output);
}
