namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// One side of a product: rows × k, where "rows" are the rows of c on the left side and its columns on the right. Element (row, k) lies at row ·
/// Stride + k, or at k · Stride + row when <see cref="KMajor"/>.
/// </summary>
internal readonly unsafe struct Operand(byte* data, DType dtype, long stride, bool kMajor)
{
    /// <summary>A matrix [rows, k], or [k, rows] when <paramref name="kMajor"/>.</summary>
    public Operand(byte* data, Tensor matrix, bool kMajor)
        : this(data, matrix.DType, matrix.Shape[1], kMajor)
    {
    }

    /// <summary>The first element.</summary>
    public byte* Data => data;

    /// <summary>Storage type: a float type.</summary>
    public DType DType => dtype;

    /// <summary>Elements from one row, or one k, to the next.</summary>
    public long Stride => stride;

    /// <summary>Whether the rows lie side by side.</summary>
    public bool KMajor => kMajor;

    /// <summary>Whether a microkernel can read it as it is.</summary>
    public bool Direct => kMajor && dtype == DType.F32;

    /// <summary>Where element (<paramref name="row"/>, <paramref name="k"/>) lies.</summary>
    public byte* At(long row, long k) => data + (kMajor ? k * stride + row : row * stride + k) * dtype.Size();

    /// <summary>The same without the first <paramref name="k"/> steps.</summary>
    public Operand From(long k) => new(data + k * (kMajor ? stride : 1) * dtype.Size(), dtype, stride, kMajor);
}
