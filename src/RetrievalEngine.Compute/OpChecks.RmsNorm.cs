namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.RmsNormForward"/> and gives its sizes.</summary>
    public static (long Rows, long Width) RmsNormForward(Tensor x, Tensor residual, Tensor weight, Tensor sum, Tensor y, Tensor rstd)
    {
        const string Op = nameof(RmsNormForward);
        (long rows, long width) = NormSizes(Op, x, weight);
        RequireResidual(Op, x, residual, sum);
        RequireLike(Op, nameof(y), y, nameof(x), x);
        RequireF32(Op, nameof(rstd), rstd, rows);
        return (rows, width);
    }

    /// <summary>Checks <see cref="IBackend.RmsNormBackward"/> and gives its sizes.</summary>
    public static (long Rows, long Width) RmsNormBackward(Tensor dy, Tensor x, Tensor weight, Tensor rstd, Tensor dx, Tensor dweight)
    {
        const string Op = nameof(RmsNormBackward);
        (long rows, long width) = NormSizes(Op, x, weight);
        RequireLike(Op, nameof(dy), dy, nameof(x), x);
        RequireF32(Op, nameof(rstd), rstd, rows);
        RequireLike(Op, nameof(dx), dx, nameof(x), x);
        if (!dweight.IsEmpty) RequireF32(Op, nameof(dweight), dweight, width);
        return (rows, width);
    }

    private static (long Rows, long Width) NormSizes(string op, Tensor x, Tensor weight)
    {
        RequireFloat(op, nameof(x), x);
        Require(x.Shape.Rank >= 1 && x.Shape.Last is >= 1 and <= int.MaxValue, op, $"x is {x} but must have rows of at least one element");
        RequireF32(op, nameof(weight), weight, x.Shape.Last);
        return (x.Shape.Rows, x.Shape.Last);
    }

    private static void RequireResidual(string op, Tensor x, Tensor residual, Tensor sum)
    {
        Require(residual.IsEmpty == sum.IsEmpty, op, $"residual is {residual} but sum is {sum}; they come together or not at all");
        if (residual.IsEmpty) return;
        RequireLike(op, nameof(residual), residual, nameof(x), x);
        RequireLike(op, nameof(sum), sum, nameof(x), x);
    }
}
