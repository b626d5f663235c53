namespace RetrievalEngine.Compute;

/// <summary>One linear map y = x·Wᵀ + bias, with an optional LoRA adapter: + scale · drop(x)·Aᵀ·Bᵀ.</summary>
/// <param name="W">[N, K], any float type.</param>
/// <param name="Bias">[N] F32, or none.</param>
/// <param name="A">[R, K] F32, or none: a plain linear map.</param>
/// <param name="B">[N, R] F32, or none.</param>
/// <param name="Scale">alpha / r, or alpha / √r with rank-stabilised LoRA.</param>
public readonly record struct Projection(Tensor W, Tensor Bias = default, Tensor A = default, Tensor B = default, float Scale = 0)
{
    /// <summary>Output width N.</summary>
    public long Outputs => W.Shape[0];

    /// <summary>Input width K.</summary>
    public long Inputs => W.Shape[1];

    /// <summary>Rank of the adapter, 0 without one.</summary>
    public long Rank => A.IsEmpty ? 0 : A.Shape[0];
}
