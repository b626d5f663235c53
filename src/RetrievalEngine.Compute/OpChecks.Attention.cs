using System;

namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Largest head_dim that attention takes.</summary>
    public const int MaxHeadDim = 256;

    /// <summary>Checks <see cref="IBackend.AttentionForward"/> and gives its sizes.</summary>
    public static (int Tokens, int Heads, int KvHeads, int HeadDim, int Sequences, int Buckets) AttentionForward(
        Tensor q, Tensor k, Tensor v, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options, Tensor relativeBias, Tensor o, Tensor lse) =>
        Attention(nameof(AttentionForward), q, k, v, cuSeqLens, maxSeqLen, options, relativeBias, o, lse);

    /// <summary>Checks <see cref="IBackend.AttentionBackward"/> and gives its sizes.</summary>
    public static (int Tokens, int Heads, int KvHeads, int HeadDim, int Sequences, int Buckets) AttentionBackward(
        Tensor dO, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options,
        Tensor relativeBias, Tensor dq, Tensor dk, Tensor dv, Tensor drelativeBias)
    {
        const string Op = nameof(AttentionBackward);
        var sizes = Attention(Op, q, k, v, cuSeqLens, maxSeqLen, options, relativeBias, o, lse);
        RequireLike(Op, nameof(dO), dO, nameof(q), q);
        RequireLike(Op, nameof(dq), dq, nameof(q), q);
        RequireLike(Op, nameof(dk), dk, nameof(k), k);
        RequireLike(Op, nameof(dv), dv, nameof(v), v);
        Require(drelativeBias.IsEmpty || !relativeBias.IsEmpty, Op, "drelativeBias is given without relativeBias");
        if (!drelativeBias.IsEmpty) RequireLike(Op, nameof(drelativeBias), drelativeBias, nameof(relativeBias), relativeBias);
        return sizes;
    }

    /// <summary>
    /// Checks the values of cumulative sequence lengths, where they are on the host: 0 first, never falling, <paramref name="tokens"/> last, no
    /// sequence over <paramref name="maxSeqLen"/>.
    /// </summary>
    public static void CuSeqLens(string op, ReadOnlySpan<int> cuSeqLens, long tokens, int maxSeqLen)
    {
        Require(cuSeqLens.Length > 0 && cuSeqLens[0] == 0, op, "cuSeqLens must start with 0");
        for (int b = 1; b < cuSeqLens.Length; b++)
        {
            long length = (long)cuSeqLens[b] - cuSeqLens[b - 1];
            Require(length >= 0 && length <= maxSeqLen, op, $"sequence {b - 1} has {length} tokens but maxSeqLen is {maxSeqLen}");
        }

        Require(cuSeqLens[^1] == tokens, op, $"cuSeqLens ends with {cuSeqLens[^1]} but there are {tokens} tokens");
    }

    private static (int Tokens, int Heads, int KvHeads, int HeadDim, int Sequences, int Buckets) Attention(
        string op, Tensor q, Tensor k, Tensor v, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options, Tensor relativeBias, Tensor o, Tensor lse)
    {
        Require(!q.IsEmpty && !k.IsEmpty && !v.IsEmpty && !cuSeqLens.IsEmpty, op, "q, k, v and cuSeqLens must be given");
        Require(q.Shape.Rank == 3 && q.DType.IsFloat(), op, $"q is {q} but must be [tokens, heads, head_dim] of a float type");
        long tokens = q.Shape[0], heads = q.Shape[1], headDim = q.Shape[2];
        Require(headDim is >= 1 and <= MaxHeadDim, op, $"q is {q} but head_dim must be 1 to {MaxHeadDim}");
        Require(tokens <= int.MaxValue && heads is >= 1 and <= 65535, op, $"q is {q}, which is too large");
        Require(k.Shape.Rank == 3 && k.DType == q.DType && k.Shape[0] == tokens && k.Shape[2] == headDim, op, $"q is {q} but k is {k}");
        long kvHeads = k.Shape[1];
        Require(kvHeads >= 1 && heads % kvHeads == 0, op, $"q has {heads} heads, which is not a multiple of the {kvHeads} of k");
        RequireLike(op, nameof(v), v, nameof(k), k);
        RequireLike(op, nameof(o), o, nameof(q), q);
        bool lseFits = !lse.IsEmpty && lse.DType == DType.F32 && lse.Shape == new Shape(heads, tokens);
        Require(lseFits, op, $"lse is {lse} but must be F32 [{heads}, {tokens}]");
        Require(
            cuSeqLens.DType == DType.I32 && cuSeqLens.Shape.Rank == 1 && cuSeqLens.Count is >= 1 and <= int.MaxValue,
            op, $"cuSeqLens is {cuSeqLens} but must be I32 [sequences + 1]");
        Require(cuSeqLens.Count > 1 || tokens == 0, op, $"cuSeqLens names no sequence but there are {tokens} tokens");
        Require(maxSeqLen >= 0, op, $"maxSeqLen is {maxSeqLen}");
        Require(
            options.WindowLeft >= -1 && options.WindowRight >= -1, op,
            $"windows are {options.WindowLeft} and {options.WindowRight} but must be -1 (all) or a number of keys");
        Require(options.SoftCap >= 0 && float.IsFinite(options.SoftCap), op, $"softCap is {options.SoftCap} but must be 0 (none) or positive");
        if (relativeBias.IsEmpty) return ((int)tokens, (int)heads, (int)kvHeads, (int)headDim, (int)cuSeqLens.Count - 1, 0);

        Require(
            relativeBias.DType == DType.F32 && relativeBias.Shape.Rank == 2 && relativeBias.Shape[1] == heads, op,
            $"relativeBias is {relativeBias} but must be F32 [buckets, {heads}]");
        long buckets = relativeBias.Shape[0];
        Require(buckets is >= 4 and <= 65536 && buckets % 2 == 0, op, $"relativeBias is {relativeBias} but buckets must be even and 4 to 65536");
        Require(
            options.RelativeMaxDistance > buckets / 4, op,
            $"relativeMaxDistance is {options.RelativeMaxDistance} but must be over {buckets / 4} with {buckets} buckets");
        return ((int)tokens, (int)heads, (int)kvHeads, (int)headDim, (int)cuSeqLens.Count - 1, (int)buckets);
    }

    private static void RequireLike(string op, string name, Tensor tensor, string otherName, Tensor other) =>
        Require(!tensor.IsEmpty && tensor.DType == other.DType && tensor.Shape == other.Shape, op, $"{otherName} is {other} but {name} is {tensor}");
}
