using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using RetrievalEngine.Compute.Cpu.Gemm;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>Rows of 16 bits that <see cref="CodeScan.Widen"/> made and queries that <see cref="CodeScan.Prepare"/> made; the sums are integers.</summary>
internal readonly unsafe struct CodeTile : ITile
{
    private const int Step = DotKernel.Step, Line = DotKernel.Line;

    /// <inheritdoc/>
    public static int Rows => 4;

    /// <inheritdoc/>
    public static int Queries => 5;

    /// <inheritdoc/>
    public static void Multiply(in Tile tile)
    {
        switch (tile.Queries)
        {
            case 1:
                Multiply<N1>(tile);
                break;
            case 2:
                Multiply<N2>(tile);
                break;
            case 3:
                Multiply<N3>(tile);
                break;
            case 4:
                Multiply<N4>(tile);
                break;
            default:
                Multiply<N5>(tile);
                break;
        }
    }

    /// <summary>Up to four rows and <typeparamref name="TQueries"/> queries.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply<TQueries>(in Tile tile)
        where TQueries : struct, IConstant
    {
        byte* row = tile.Row, query = tile.Query, next = tile.Next;
        int rows = tile.Rows;
        long stride = tile.QueryStride, stride3 = 3 * stride, share = tile.Share;
        long row1 = Math.Min(1, rows - 1) * tile.RowStride, row2 = Math.Min(2, rows - 1) * tile.RowStride, row3 = (rows - 1) * tile.RowStride;
        Vector512<int> a0 = default, b0 = default, c0 = default, e0 = default;
        Vector512<int> a1 = default, b1 = default, c1 = default, e1 = default;
        Vector512<int> a2 = default, b2 = default, c2 = default, e2 = default;
        Vector512<int> a3 = default, b3 = default, c3 = default, e3 = default;
        Vector512<int> a4 = default, b4 = default, c4 = default, e4 = default;
        for (byte* end = row + tile.Elements * sizeof(short); row < end; row += Step * sizeof(short), query += Step * sizeof(short))
        {
            for (byte* behind = next + share; next < behind; next += Line) Sse.Prefetch1(next);
            Vector512<short> r0 = Load(row), r1 = Load(row + row1), r2 = Load(row + row2), r3 = Load(row + row3);
            Add(Load(query), r0, r1, r2, r3, ref a0, ref b0, ref c0, ref e0);
            if (TQueries.Value > 1) Add(Load(query + stride), r0, r1, r2, r3, ref a1, ref b1, ref c1, ref e1);
            if (TQueries.Value > 2) Add(Load(query + 2 * stride), r0, r1, r2, r3, ref a2, ref b2, ref c2, ref e2);
            if (TQueries.Value > 3) Add(Load(query + stride3), r0, r1, r2, r3, ref a3, ref b3, ref c3, ref e3);
            if (TQueries.Value > 4) Add(Load(query + 4 * stride), r0, r1, r2, r3, ref a4, ref b4, ref c4, ref e4);
        }

        int* sums = (int*)tile.Sums;
        CodeScan.Store(a0, b0, c0, e0, rows, sums, tile.IsFirst);
        if (TQueries.Value > 1) CodeScan.Store(a1, b1, c1, e1, rows, sums + tile.SumStride, tile.IsFirst);
        if (TQueries.Value > 2) CodeScan.Store(a2, b2, c2, e2, rows, sums + 2 * tile.SumStride, tile.IsFirst);
        if (TQueries.Value > 3) CodeScan.Store(a3, b3, c3, e3, rows, sums + 3 * tile.SumStride, tile.IsFirst);
        if (TQueries.Value > 4) CodeScan.Store(a4, b4, c4, e4, rows, sums + 4 * tile.SumStride, tile.IsFirst);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<short> Load(byte* at) => Vector512.Load((short*)at);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector512<short> x, Vector512<short> r0, Vector512<short> r1, Vector512<short> r2, Vector512<short> r3, ref Vector512<int> a,
        ref Vector512<int> b, ref Vector512<int> c, ref Vector512<int> e)
    {
        a += Avx512BW.MultiplyAddAdjacent(r0, x);
        b += Avx512BW.MultiplyAddAdjacent(r1, x);
        c += Avx512BW.MultiplyAddAdjacent(r2, x);
        e += Avx512BW.MultiplyAddAdjacent(r3, x);
    }
}
