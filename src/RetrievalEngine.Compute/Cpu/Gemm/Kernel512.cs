using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// The inner loop of a matrix product in AVX-512: a tile of up to 14 × 32 sums stays in registers while k runs (28 of 32 registers, two more for b,
/// one for a). Written out once for 14 rows and compiled for each number of rows and for one and two vectors of columns: conditions on constants
/// cost nothing.
/// </summary>
internal static unsafe class Kernel512
{
    private const int Rows = 14, Columns = 32;

    /// <summary>The microkernels.</summary>
    public static Microkernel Create()
    {
        Microkernel kernel = new(Rows, Columns);
        kernel.Add(1, &Multiply<N1, N2>, &Multiply<N1, N1>);
        kernel.Add(2, &Multiply<N2, N2>, &Multiply<N2, N1>);
        kernel.Add(3, &Multiply<N3, N2>, &Multiply<N3, N1>);
        kernel.Add(4, &Multiply<N4, N2>, &Multiply<N4, N1>);
        kernel.Add(5, &Multiply<N5, N2>, &Multiply<N5, N1>);
        kernel.Add(6, &Multiply<N6, N2>, &Multiply<N6, N1>);
        kernel.Add(7, &Multiply<N7, N2>, &Multiply<N7, N1>);
        kernel.Add(8, &Multiply<N8, N2>, &Multiply<N8, N1>);
        kernel.Add(9, &Multiply<N9, N2>, &Multiply<N9, N1>);
        kernel.Add(10, &Multiply<N10, N2>, &Multiply<N10, N1>);
        kernel.Add(11, &Multiply<N11, N2>, &Multiply<N11, N1>);
        kernel.Add(12, &Multiply<N12, N2>, &Multiply<N12, N1>);
        kernel.Add(13, &Multiply<N13, N2>, &Multiply<N13, N1>);
        kernel.Add(14, &Multiply<N14, N2>, &Multiply<N14, N1>);
        return kernel;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply<TRows, TVectors>(long k, float* a, long strideA, float* b, long strideB, float* c, long strideC, float alpha,
        bool accumulate, byte* ahead, long step)
        where TRows : struct, IConstant
        where TVectors : struct, IConstant
    {
        Vector512<float> c0 = default, d0 = default;
        Vector512<float> c1 = default, d1 = default;
        Vector512<float> c2 = default, d2 = default;
        Vector512<float> c3 = default, d3 = default;
        Vector512<float> c4 = default, d4 = default;
        Vector512<float> c5 = default, d5 = default;
        Vector512<float> c6 = default, d6 = default;
        Vector512<float> c7 = default, d7 = default;
        Vector512<float> c8 = default, d8 = default;
        Vector512<float> c9 = default, d9 = default;
        Vector512<float> c10 = default, d10 = default;
        Vector512<float> c11 = default, d11 = default;
        Vector512<float> c12 = default, d12 = default;
        Vector512<float> c13 = default, d13 = default;
        // Here in time for the stores.
        for (long row = 0; row < TRows.Value; row++)
        {
            Sse.Prefetch0(c + row * strideC);
            Sse.Prefetch0(c + row * strideC + 31);
        }

        for (; k > 0; k--)
        {
            Vector512<float> b0 = Vector512.Load(b), b1 = TVectors.Value > 1 ? Vector512.Load(b + 16) : default;
            (c0, d0) = Add<TVectors>(a[0], b0, b1, c0, d0);
            if (TRows.Value > 1) (c1, d1) = Add<TVectors>(a[1], b0, b1, c1, d1);
            if (TRows.Value > 2) (c2, d2) = Add<TVectors>(a[2], b0, b1, c2, d2);
            if (TRows.Value > 3) (c3, d3) = Add<TVectors>(a[3], b0, b1, c3, d3);
            if (TRows.Value > 4) (c4, d4) = Add<TVectors>(a[4], b0, b1, c4, d4);
            if (TRows.Value > 5) (c5, d5) = Add<TVectors>(a[5], b0, b1, c5, d5);
            if (TRows.Value > 6) (c6, d6) = Add<TVectors>(a[6], b0, b1, c6, d6);
            if (TRows.Value > 7) (c7, d7) = Add<TVectors>(a[7], b0, b1, c7, d7);
            if (TRows.Value > 8) (c8, d8) = Add<TVectors>(a[8], b0, b1, c8, d8);
            if (TRows.Value > 9) (c9, d9) = Add<TVectors>(a[9], b0, b1, c9, d9);
            if (TRows.Value > 10) (c10, d10) = Add<TVectors>(a[10], b0, b1, c10, d10);
            if (TRows.Value > 11) (c11, d11) = Add<TVectors>(a[11], b0, b1, c11, d11);
            if (TRows.Value > 12) (c12, d12) = Add<TVectors>(a[12], b0, b1, c12, d12);
            if (TRows.Value > 13) (c13, d13) = Add<TVectors>(a[13], b0, b1, c13, d13);
            Sse.Prefetch1(ahead);
            // From the level 2 cache, eight k ahead, where the processor's own guess comes a little late.
            Sse.Prefetch0(b + 8 * Columns);
            Sse.Prefetch0(b + 8 * Columns + 16);
            Sse.Prefetch0(a + 8 * Rows);
            ahead += step;
            a += strideA;
            b += strideB;
        }

        Vector512<float> factor = Vector512.Create(alpha);
        Store<TVectors>(c0, d0, factor, c, accumulate);
        if (TRows.Value > 1) Store<TVectors>(c1, d1, factor, c + strideC, accumulate);
        if (TRows.Value > 2) Store<TVectors>(c2, d2, factor, c + 2 * strideC, accumulate);
        if (TRows.Value > 3) Store<TVectors>(c3, d3, factor, c + 3 * strideC, accumulate);
        if (TRows.Value > 4) Store<TVectors>(c4, d4, factor, c + 4 * strideC, accumulate);
        if (TRows.Value > 5) Store<TVectors>(c5, d5, factor, c + 5 * strideC, accumulate);
        if (TRows.Value > 6) Store<TVectors>(c6, d6, factor, c + 6 * strideC, accumulate);
        if (TRows.Value > 7) Store<TVectors>(c7, d7, factor, c + 7 * strideC, accumulate);
        if (TRows.Value > 8) Store<TVectors>(c8, d8, factor, c + 8 * strideC, accumulate);
        if (TRows.Value > 9) Store<TVectors>(c9, d9, factor, c + 9 * strideC, accumulate);
        if (TRows.Value > 10) Store<TVectors>(c10, d10, factor, c + 10 * strideC, accumulate);
        if (TRows.Value > 11) Store<TVectors>(c11, d11, factor, c + 11 * strideC, accumulate);
        if (TRows.Value > 12) Store<TVectors>(c12, d12, factor, c + 12 * strideC, accumulate);
        if (TRows.Value > 13) Store<TVectors>(c13, d13, factor, c + 13 * strideC, accumulate);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> C, Vector512<float> D) Add<TVectors>(float a, Vector512<float> b0, Vector512<float> b1, Vector512<float> c,
        Vector512<float> d)
        where TVectors : struct, IConstant
    {
        Vector512<float> x = Vector512.Create(a);
        return (Avx512F.FusedMultiplyAdd(x, b0, c), TVectors.Value > 1 ? Avx512F.FusedMultiplyAdd(x, b1, d) : d);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TVectors>(Vector512<float> c, Vector512<float> d, Vector512<float> factor, float* destination, bool accumulate)
        where TVectors : struct, IConstant
    {
        c = accumulate ? Avx512F.FusedMultiplyAdd(c, factor, Vector512.Load(destination)) : c * factor;
        c.Store(destination);
        if (TVectors.Value == 1) return;
        d = accumulate ? Avx512F.FusedMultiplyAdd(d, factor, Vector512.Load(destination + 16)) : d * factor;
        d.Store(destination + 16);
    }
}
