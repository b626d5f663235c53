namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.PoolForward"/> and gives its sizes.</summary>
    public static (long Tokens, long Sequences, long Width) PoolForward(Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor y) =>
        Pool(nameof(PoolForward), nameof(x), x, cuSeqLens, pooling, nameof(y), y);

    /// <summary>Checks <see cref="IBackend.PoolBackward"/> and gives its sizes.</summary>
    public static (long Tokens, long Sequences, long Width) PoolBackward(Tensor dy, Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor dx)
    {
        const string Op = nameof(PoolBackward);
        var sizes = Pool(Op, nameof(dx), dx, cuSeqLens, pooling, nameof(dy), dy);
        RequireLike(Op, nameof(x), x, nameof(dx), dx);
        return sizes;
    }

    private static (long Tokens, long Sequences, long Width) Pool(
        string op, string tokensName, Tensor tokens, Tensor cuSeqLens, Pooling pooling, string pooledName, Tensor pooled)
    {
        RequireFloat(op, tokensName, tokens);
        Require(
            tokens.Shape.Rank == 2 && tokens.Shape[0] <= int.MaxValue && tokens.Shape[1] <= int.MaxValue, op,
                $"{tokensName} is {tokens} but must be [tokens, hidden]");
        Require(
            !cuSeqLens.IsEmpty && cuSeqLens.DType == DType.I32 && cuSeqLens.Shape.Rank == 1 && cuSeqLens.Count >= 1, op,
            $"cuSeqLens is {cuSeqLens} but must be I32 [sequences + 1]");
        Require(pooling is >= Pooling.Last and <= Pooling.Max, op, $"pooling {pooling} does not exist");
        RequireF32(op, pooledName, pooled, cuSeqLens.Count - 1, tokens.Shape[1]);
        return (tokens.Shape[0], cuSeqLens.Count - 1, tokens.Shape[1]);
    }
}
