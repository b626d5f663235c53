namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.L2NormalizeForward"/> and gives its sizes.</summary>
    public static (long Rows, long Width) L2NormalizeForward(Tensor x, Tensor y, Tensor norm)
    {
        const string Op = nameof(L2NormalizeForward);
        RequireFloat(Op, nameof(x), x);
        Require(x.Shape.Rank == 2, Op, $"x is {x} but must be [rows, hidden]");
        RequireLike(Op, nameof(y), y, nameof(x), x);
        RequireF32(Op, nameof(norm), norm, x.Shape[0]);
        return (x.Shape[0], x.Shape[1]);
    }

    /// <summary>Checks <see cref="IBackend.L2NormalizeBackward"/> and gives its sizes.</summary>
    public static (long Rows, long Width) L2NormalizeBackward(Tensor dy, Tensor y, Tensor norm, Tensor dx)
    {
        const string Op = nameof(L2NormalizeBackward);
        RequireFloat(Op, nameof(y), y);
        Require(y.Shape.Rank == 2, Op, $"y is {y} but must be [rows, hidden]");
        RequireLike(Op, nameof(dy), dy, nameof(y), y);
        RequireF32(Op, nameof(norm), norm, y.Shape[0]);
        RequireLike(Op, nameof(dx), dx, nameof(y), y);
        return (y.Shape[0], y.Shape[1]);
    }
}
