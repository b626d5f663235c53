using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda.Products;

/// <summary>
/// In which 16-bit type a product is computed, chosen by its activations: their own; F32 as bf16 in three planes, which hold all of its 24 bits. Where the
/// activations have 16 bits the other operand is rounded to their type.
/// </summary>
internal readonly record struct ProductType(DType Activation)
{
    /// <summary>What the tensor cores multiply.</summary>
    public DType DType => Activation == DType.F16 ? DType.F16 : DType.BF16;

    /// <summary>Planes of an F32 operand.</summary>
    public const int MostPlanes = 3;

    /// <summary>Planes that an operand of <paramref name="source"/> becomes.</summary>
    public int Planes(DType source) => Activation != DType.F32 ? 1 : source switch { DType.BF16 => 1, DType.F16 => 2, _ => MostPlanes };
}
