using System.Runtime.CompilerServices;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda.Driver;

/// <summary>CUtensorMap: what the copy engine of an sm_90 GPU knows of a matrix and of the box of it that one copy moves.</summary>
[InlineArray(Bytes)]
internal unsafe struct TensorMap
{
    private const int Bytes = 128, Alignment = 64;
    private byte _first;

    /// <summary>
    /// A map of a matrix of F16 or BF16 at <paramref name="address"/>, rows <paramref name="stride"/> elements apart, for boxes whose rows of 128 bytes are
    /// swizzled in shared memory. Zeros come from outside of the matrix.
    /// </summary>
    public static TensorMap Encode(ulong address, DType dtype, long rows, long columns, long stride, int boxRows, int boxColumns)
    {
        const int F16 = 6, BF16 = 9, NotInterleaved = 0, Swizzle128 = 3, Promote256 = 3, FillZeros = 0, Dimensions = 2;
        byte* room = stackalloc byte[Bytes + Alignment];
        byte* map = (byte*)(((nuint)room + Alignment - 1) & ~(nuint)(Alignment - 1));
        ulong* sizes = stackalloc ulong[] { (ulong)columns, (ulong)rows };
        ulong rowBytes = (ulong)(stride * dtype.Size());
        uint* box = stackalloc uint[] { (uint)boxColumns, (uint)boxRows };
        uint* steps = stackalloc uint[] { 1, 1 };
        int result = CudaDriver.TensorMapEncodeTiled(map, dtype == DType.F16 ? F16 : BF16, Dimensions, address, sizes, &rowBytes, box, steps, NotInterleaved,
            Swizzle128, Promote256, FillZeros);
        if (result != 0) throw new CudaException("cuTensorMapEncodeTiled", result, $"{rows} × {columns} of {dtype} in rows of {rowBytes} bytes");
        return *(TensorMap*)map;
    }
}
