using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// A family of inner loops over packed operands, one for each height of a tile: c [rows, columns] = alpha · Σ over k of a[k, rows] · b[k, columns], or added to c. Every sum runs
/// over k in order by itself, so a result depends neither on the height of its tile nor on what else is computed.
/// Arguments: k; a and the distance from one k to the next; b and the same; c and the distance of its rows; alpha; whether to add to c.
/// </summary>
internal sealed unsafe class Microkernel
{
    private readonly delegate*<long, float*, long, float*, long, float*, long, float, bool, void>[] _wide, _narrow;

    /// <summary>A family for up to <paramref name="rows"/> × <paramref name="columns"/>.</summary>
    public Microkernel(int rows, int columns)
    {
        Rows = rows;
        Columns = columns;
        _wide = new delegate*<long, float*, long, float*, long, float*, long, float, bool, void>[rows + 1];
        _narrow = new delegate*<long, float*, long, float*, long, float*, long, float, bool, void>[rows + 1];
    }

    /// <summary>The fastest family that the machine can run.</summary>
    public static Microkernel Best { get; } = Avx512F.IsSupported ? Kernel512.Create() : Avx2.IsSupported && Fma.IsSupported ? Kernel256.Create() : KernelScalar.Create();

    /// <summary>Most rows of a tile.</summary>
    public int Rows { get; }

    /// <summary>Columns of a wide tile; a narrow one has half of them.</summary>
    public int Columns { get; }

    /// <summary>Enters the loops for tiles of <paramref name="rows"/> rows.</summary>
    public void Add(int rows, delegate*<long, float*, long, float*, long, float*, long, float, bool, void> wide,
        delegate*<long, float*, long, float*, long, float*, long, float, bool, void> narrow)
    {
        _wide[rows] = wide;
        _narrow[rows] = narrow;
    }

    /// <summary>Computes one tile of <paramref name="rows"/> rows and <see cref="Columns"/> columns, or half of them.</summary>
    public void Multiply(int rows, bool narrow, long k, float* a, long strideA, float* b, long strideB, float* c, long strideC, float alpha, bool accumulate) =>
        (narrow ? _narrow : _wide)[rows](k, a, strideA, b, strideB, c, strideC, alpha, accumulate);
}
