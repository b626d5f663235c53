namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.LayerNormForward"/> and gives its sizes.</summary>
    public static (long Rows, long Width) LayerNormForward(Tensor x, Tensor residual, Tensor weight, Tensor bias, Tensor sum, Tensor y, Tensor mean,
        Tensor rstd)
    {
        const string Op = nameof(LayerNormForward);
        (long rows, long width) = NormSizes(Op, x, weight);
        if (!bias.IsEmpty) RequireF32(Op, nameof(bias), bias, width);
        RequireResidual(Op, x, residual, sum);
        RequireLike(Op, nameof(y), y, nameof(x), x);
        RequireF32(Op, nameof(mean), mean, rows);
        RequireF32(Op, nameof(rstd), rstd, rows);
        return (rows, width);
    }

    /// <summary>Checks <see cref="IBackend.LayerNormBackward"/> and gives its sizes.</summary>
    public static (long Rows, long Width) LayerNormBackward(
        Tensor dy, Tensor x, Tensor weight, Tensor mean, Tensor rstd, Tensor dx, Tensor dweight, Tensor dbias)
    {
        const string Op = nameof(LayerNormBackward);
        (long rows, long width) = NormSizes(Op, x, weight);
        RequireLike(Op, nameof(dy), dy, nameof(x), x);
        RequireF32(Op, nameof(mean), mean, rows);
        RequireF32(Op, nameof(rstd), rstd, rows);
        RequireLike(Op, nameof(dx), dx, nameof(x), x);
        if (!dweight.IsEmpty) RequireF32(Op, nameof(dweight), dweight, width);
        if (!dbias.IsEmpty) RequireF32(Op, nameof(dbias), dbias, width);
        return (rows, width);
    }
}
