using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda.Products;

/// <summary>
/// An operand as the main loop reads it: rows of <paramref name="DType"/> that start at multiples of 16 bytes and are zero up to the next multiple of 8
/// elements.
/// </summary>
/// <param name="High">Device address of the values, or of their upper halves.</param>
/// <param name="Low">Device address of the lower halves; 0 where the values are whole.</param>
/// <param name="Stride">Elements from row to row.</param>
/// <param name="DType">F16 or BF16.</param>
internal readonly record struct Planes(ulong High, ulong Low, long Stride, DType DType);
