namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.AdamWStep"/>.</summary>
    public static void AdamWStep(Tensor parameter, Tensor gradient, Tensor m, Tensor v, AdamW options, Tensor sumOfSquares)
    {
        const string Op = nameof(AdamWStep);
        Require(!parameter.IsEmpty && parameter.DType == DType.F32, Op, $"parameter is {parameter} but must be F32");
        RequireCount(Op, nameof(gradient), gradient, parameter);
        RequireCount(Op, nameof(m), m, parameter);
        RequireCount(Op, nameof(v), v, parameter);
        Require(options.Step >= 1, Op, $"step is {options.Step} but the first is 1");
        Require(options.MaxGradNorm == 0 || !sumOfSquares.IsEmpty, Op, "maxGradNorm is given without sumOfSquares");
        if (!sumOfSquares.IsEmpty) RequireF32(Op, nameof(sumOfSquares), sumOfSquares, 1);
    }

    private static void RequireCount(string op, string name, Tensor tensor, Tensor parameter) =>
        Require(
            !tensor.IsEmpty && tensor.DType == DType.F32 && tensor.Count == parameter.Count, op, $"parameter is {parameter} but {name} is {tensor}");
}
