using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda.Products;

/// <summary>
/// An operand as the main loop reads it: rows of <paramref name="DType"/> that start at multiples of 16 bytes and are zero up to the next multiple of 8
/// elements.
/// </summary>
/// <param name="Address">Device address of the first plane: the values, or the upper bits of values that are the sum of several planes.</param>
/// <param name="Count">Number of planes.</param>
/// <param name="Plane">Elements from plane to plane.</param>
/// <param name="Stride">Elements from row to row.</param>
/// <param name="DType">F16 or BF16.</param>
internal readonly record struct Planes(ulong Address, int Count, long Plane, long Stride, DType DType)
{
    /// <summary>Device address of plane <paramref name="index"/>.</summary>
    public ulong this[int index] => Address + (ulong)(index * Plane * DType.Size());
}
