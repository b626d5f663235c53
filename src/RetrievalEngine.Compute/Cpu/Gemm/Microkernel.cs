using System.Runtime.Intrinsics.X86;
using unsafe Loop = delegate*<long, float*, long, float*, long, float*, long, float, bool, byte*, long, void>;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// A family of inner loops over packed operands, one for each height of a tile: c [rows, columns] = alpha · Σ over k of a[k, rows] · b[k, columns],
/// or added to c. Every sum runs over k in order by itself, so a result depends neither on the height of its tile nor on what else is computed. What
/// packs the operands is <see cref="Packing"/>; another family, of other instructions or in other code, needs only <see cref="Add"/>.
/// </summary>
internal sealed unsafe class Microkernel
{
    private readonly Loop[] _wide, _narrow;

    /// <summary>A family for up to <paramref name="rows"/> × <paramref name="columns"/>.</summary>
    public Microkernel(int rows, int columns)
    {
        Rows = rows;
        Columns = columns;
        _wide = new Loop[rows + 1];
        _narrow = new Loop[rows + 1];
    }

    /// <summary>The fastest family that the machine can run.</summary>
    public static Microkernel Best { get; } =
        Avx512F.IsSupported ? Kernel512.Create() : Avx2.IsSupported && Fma.IsSupported ? Kernel256.Create() : KernelScalar.Create();

    /// <summary>Most rows of a tile.</summary>
    public int Rows { get; }

    /// <summary>Columns of a wide tile; a narrow one has half of them.</summary>
    public int Columns { get; }

    /// <summary>Enters the loops for tiles of <paramref name="rows"/> rows.</summary>
    public void Add(int rows, Loop wide, Loop narrow)
    {
        _wide[rows] = wide;
        _narrow[rows] = narrow;
    }

    /// <summary>
    /// Computes one tile of <paramref name="rows"/> rows and <see cref="Columns"/> columns, or half of them. <paramref name="strideA"/> and
    /// <paramref name="strideB"/> lead from one k to the next, <paramref name="strideC"/> from one row to the next. With each k a line of memory at
    /// <paramref name="ahead"/>, then <paramref name="step"/> bytes further, is fetched for a later call; any address will do.
    /// </summary>
    public void Multiply(int rows, bool narrow, long k, float* a, long strideA, float* b, long strideB, float* c, long strideC, float alpha,
        bool accumulate, byte* ahead, long step) =>
        (narrow ? _narrow : _wide)[rows](k, a, strideA, b, strideB, c, strideC, alpha, accumulate, ahead, step);
}
