namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.Rope"/> and gives its sizes; Half is R/2.</summary>
    public static (long Tokens, long Heads, long HeadDim, long Half) Rope(Tensor x, Tensor positions, Tensor cos, Tensor sin)
    {
        const string Op = nameof(Rope);
        RequireFloat(Op, nameof(x), x);
        Require(x.Shape.Rank == 3, Op, $"x is {x} but must be [tokens, heads, head_dim]");
        RequireI32(Op, nameof(positions), positions, x.Shape[0]);
        Require(!cos.IsEmpty && cos.DType == DType.F32 && cos.Shape.Rank == 2, Op, $"cos is {cos} but must be F32 [positions, R/2]");
        Require(cos.Shape[1] <= x.Shape[2] / 2, Op,
            $"cos is {cos}, which rotates {2 * cos.Shape[1]} elements of the {x.Shape[2]} that a head of {x} has");
        RequireLike(Op, nameof(sin), sin, nameof(cos), cos);
        return (x.Shape[0], x.Shape[1], x.Shape[2], cos.Shape[1]);
    }
}
