using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// The inner loop of a matrix product in AVX2 with FMA: a tile of up to 6 × 16 sums stays in registers while k runs (12 of 16 registers, two more
/// for b, one for a). Written out once for 6 rows and compiled for each number of rows and for one and two vectors of columns: conditions on
/// constants cost nothing.
/// </summary>
internal static unsafe class Kernel256
{
    /// <summary>The microkernels.</summary>
    public static Microkernel Create()
    {
        Microkernel kernel = new(6, 16);
        kernel.Add(1, &Multiply<N1, N2>, &Multiply<N1, N1>);
        kernel.Add(2, &Multiply<N2, N2>, &Multiply<N2, N1>);
        kernel.Add(3, &Multiply<N3, N2>, &Multiply<N3, N1>);
        kernel.Add(4, &Multiply<N4, N2>, &Multiply<N4, N1>);
        kernel.Add(5, &Multiply<N5, N2>, &Multiply<N5, N1>);
        kernel.Add(6, &Multiply<N6, N2>, &Multiply<N6, N1>);
        return kernel;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply<TRows, TVectors>(long k, float* a, long strideA, float* b, long strideB, float* c, long strideC, float alpha,
        bool accumulate, byte* ahead, long step)
        where TRows : struct, IConstant
        where TVectors : struct, IConstant
    {
        Vector256<float> c0 = default, d0 = default;
        Vector256<float> c1 = default, d1 = default;
        Vector256<float> c2 = default, d2 = default;
        Vector256<float> c3 = default, d3 = default;
        Vector256<float> c4 = default, d4 = default;
        Vector256<float> c5 = default, d5 = default;
        // Here in time for the stores.
        for (long row = 0; row < TRows.Value; row++)
        {
            Sse.Prefetch0(c + row * strideC);
            Sse.Prefetch0(c + row * strideC + 15);
        }

        for (; k > 0; k--)
        {
            Vector256<float> b0 = Vector256.Load(b), b1 = TVectors.Value > 1 ? Vector256.Load(b + 8) : default;
            (c0, d0) = Add<TVectors>(a[0], b0, b1, c0, d0);
            if (TRows.Value > 1) (c1, d1) = Add<TVectors>(a[1], b0, b1, c1, d1);
            if (TRows.Value > 2) (c2, d2) = Add<TVectors>(a[2], b0, b1, c2, d2);
            if (TRows.Value > 3) (c3, d3) = Add<TVectors>(a[3], b0, b1, c3, d3);
            if (TRows.Value > 4) (c4, d4) = Add<TVectors>(a[4], b0, b1, c4, d4);
            if (TRows.Value > 5) (c5, d5) = Add<TVectors>(a[5], b0, b1, c5, d5);
            Sse.Prefetch1(ahead);
            ahead += step;
            a += strideA;
            b += strideB;
        }

        Vector256<float> factor = Vector256.Create(alpha);
        Store<TVectors>(c0, d0, factor, c, accumulate);
        if (TRows.Value > 1) Store<TVectors>(c1, d1, factor, c + strideC, accumulate);
        if (TRows.Value > 2) Store<TVectors>(c2, d2, factor, c + 2 * strideC, accumulate);
        if (TRows.Value > 3) Store<TVectors>(c3, d3, factor, c + 3 * strideC, accumulate);
        if (TRows.Value > 4) Store<TVectors>(c4, d4, factor, c + 4 * strideC, accumulate);
        if (TRows.Value > 5) Store<TVectors>(c5, d5, factor, c + 5 * strideC, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> C, Vector256<float> D) Add<TVectors>(float a, Vector256<float> b0, Vector256<float> b1, Vector256<float> c,
        Vector256<float> d)
        where TVectors : struct, IConstant
    {
        Vector256<float> x = Vector256.Create(a);
        return (Fma.MultiplyAdd(x, b0, c), TVectors.Value > 1 ? Fma.MultiplyAdd(x, b1, d) : d);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TVectors>(Vector256<float> c, Vector256<float> d, Vector256<float> factor, float* destination, bool accumulate)
        where TVectors : struct, IConstant
    {
        c = accumulate ? Fma.MultiplyAdd(c, factor, Vector256.Load(destination)) : c * factor;
        c.Store(destination);
        if (TVectors.Value == 1) return;
        d = accumulate ? Fma.MultiplyAdd(d, factor, Vector256.Load(destination + 8)) : d * factor;
        d.Store(destination + 8);
    }
}
