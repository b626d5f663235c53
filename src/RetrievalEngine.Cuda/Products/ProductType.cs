using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda.Products;

/// <summary>
/// In which 16-bit type a product is computed, chosen by its activations: their own; F32 as bf16 in planes, which keeps 16 of its 24 bits. Where the
/// activations have 16 bits the other operand is rounded to their type.
/// </summary>
internal readonly record struct ProductType(DType Activation)
{
    /// <summary>What the tensor cores multiply.</summary>
    public DType DType => Activation == DType.F16 ? DType.F16 : DType.BF16;

    /// <summary>Planes that an operand of <paramref name="source"/> becomes.</summary>
    public int Planes(DType source) => Activation == DType.F32 && source != DType.BF16 ? 2 : 1;
}
