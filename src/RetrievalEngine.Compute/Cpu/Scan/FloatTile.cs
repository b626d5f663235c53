using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using RetrievalEngine.Compute.Cpu.Gemm;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>Rows of <typeparamref name="TFormat"/> and queries that <see cref="DotKernel.Prepare"/> made, to its bits.</summary>
internal readonly unsafe struct FloatTile<TFormat> : ITile
    where TFormat : struct, IElementFormat
{
    private const int TileRows = 4, Step = DotKernel.Step, Lanes = DotKernel.Lanes, Line = DotKernel.Line;

    /// <inheritdoc/>
    public static int Rows => Avx512F.IsSupported ? TileRows : 2;

    /// <inheritdoc/>
    public static int Queries => Avx512F.IsSupported ? 5 : 2;

    /// <inheritdoc/>
    public static void Multiply(in Tile tile)
    {
        if (!Avx512F.IsSupported && tile.Queries == 1) Multiply<N2, N1>(tile);
        else if (!Avx512F.IsSupported) Multiply<N2, N2>(tile);
        else if (tile.Queries == 1) Multiply<N4, N1>(tile);
        else if (tile.Queries == 2) Multiply<N4, N2>(tile);
        else if (tile.Queries == 3) Multiply<N4, N3>(tile);
        else if (tile.Queries == 4) Multiply<N4, N4>(tile);
        else Multiply<N4, N5>(tile);
    }

    /// <summary>Up to <typeparamref name="TRows"/> rows and <typeparamref name="TQueries"/> queries.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply<TRows, TQueries>(in Tile tile)
        where TRows : struct, IConstant
        where TQueries : struct, IConstant
    {
        byte* rests = stackalloc byte[TileRows * Step * sizeof(float)];
        int rows = tile.Rows, size = TFormat.Size, rest = DotKernel.CopyRests<TFormat>(tile.Row, tile.RowStride, rows, TRows.Value, tile.Elements, rests);
        byte* row = tile.Row, query = tile.Query, next = tile.Next;
        long stride = tile.QueryStride, stride3 = 3 * stride, share = tile.Share;
        long row1 = Math.Min(1, rows - 1) * tile.RowStride, row2 = Math.Min(2, rows - 1) * tile.RowStride, row3 = (rows - 1) * tile.RowStride;
        Vector512<float> a0 = default, b0 = default, c0 = default, e0 = default;
        Vector512<float> a1 = default, b1 = default, c1 = default, e1 = default;
        Vector512<float> a2 = default, b2 = default, c2 = default, e2 = default;
        Vector512<float> a3 = default, b3 = default, c3 = default, e3 = default;
        Vector512<float> a4 = default, b4 = default, c4 = default, e4 = default;
        for (byte* end = row + (tile.Elements - rest) * size; ;)
        {
            for (; row < end; row += Step * size, query += Step * sizeof(float))
            {
                Vector512<float> r2 = default, r3 = default, u2 = default, u3 = default;
                TFormat.LoadPair(row, out Vector512<float> r0, out Vector512<float> u0);
                TFormat.LoadPair(row + row1, out Vector512<float> r1, out Vector512<float> u1);
                if (TRows.Value > 2) TFormat.LoadPair(row + row2, out r2, out u2);
                if (TRows.Value > 2) TFormat.LoadPair(row + row3, out r3, out u3);
                for (byte* behind = next + share; Sse.IsSupported && next < behind; next += Line) Sse.Prefetch1(next);
                Vector512<float> x = Vector512.Load((float*)query), y = Vector512.Load((float*)query + Lanes);
                a0 = Vector512.MultiplyAddEstimate(u0, y, Vector512.MultiplyAddEstimate(r0, x, a0));
                b0 = Vector512.MultiplyAddEstimate(u1, y, Vector512.MultiplyAddEstimate(r1, x, b0));
                if (TRows.Value > 2) c0 = Vector512.MultiplyAddEstimate(u2, y, Vector512.MultiplyAddEstimate(r2, x, c0));
                if (TRows.Value > 2) e0 = Vector512.MultiplyAddEstimate(u3, y, Vector512.MultiplyAddEstimate(r3, x, e0));
                if (TQueries.Value <= 1) continue;
                (x, y) = (Vector512.Load((float*)(query + stride)), Vector512.Load((float*)(query + stride) + Lanes));
                a1 = Vector512.MultiplyAddEstimate(u0, y, Vector512.MultiplyAddEstimate(r0, x, a1));
                b1 = Vector512.MultiplyAddEstimate(u1, y, Vector512.MultiplyAddEstimate(r1, x, b1));
                if (TRows.Value > 2) c1 = Vector512.MultiplyAddEstimate(u2, y, Vector512.MultiplyAddEstimate(r2, x, c1));
                if (TRows.Value > 2) e1 = Vector512.MultiplyAddEstimate(u3, y, Vector512.MultiplyAddEstimate(r3, x, e1));
                if (TQueries.Value <= 2) continue;
                (x, y) = (Vector512.Load((float*)(query + 2 * stride)), Vector512.Load((float*)(query + 2 * stride) + Lanes));
                a2 = Vector512.MultiplyAddEstimate(u0, y, Vector512.MultiplyAddEstimate(r0, x, a2));
                b2 = Vector512.MultiplyAddEstimate(u1, y, Vector512.MultiplyAddEstimate(r1, x, b2));
                if (TRows.Value > 2) c2 = Vector512.MultiplyAddEstimate(u2, y, Vector512.MultiplyAddEstimate(r2, x, c2));
                if (TRows.Value > 2) e2 = Vector512.MultiplyAddEstimate(u3, y, Vector512.MultiplyAddEstimate(r3, x, e2));
                if (TQueries.Value <= 3) continue;
                (x, y) = (Vector512.Load((float*)(query + stride3)), Vector512.Load((float*)(query + stride3) + Lanes));
                a3 = Vector512.MultiplyAddEstimate(u0, y, Vector512.MultiplyAddEstimate(r0, x, a3));
                b3 = Vector512.MultiplyAddEstimate(u1, y, Vector512.MultiplyAddEstimate(r1, x, b3));
                if (TRows.Value > 2) c3 = Vector512.MultiplyAddEstimate(u2, y, Vector512.MultiplyAddEstimate(r2, x, c3));
                if (TRows.Value > 2) e3 = Vector512.MultiplyAddEstimate(u3, y, Vector512.MultiplyAddEstimate(r3, x, e3));
                if (TQueries.Value <= 4) continue;
                (x, y) = (Vector512.Load((float*)(query + 4 * stride)), Vector512.Load((float*)(query + 4 * stride) + Lanes));
                a4 = Vector512.MultiplyAddEstimate(u0, y, Vector512.MultiplyAddEstimate(r0, x, a4));
                b4 = Vector512.MultiplyAddEstimate(u1, y, Vector512.MultiplyAddEstimate(r1, x, b4));
                if (TRows.Value > 2) c4 = Vector512.MultiplyAddEstimate(u2, y, Vector512.MultiplyAddEstimate(r2, x, c4));
                if (TRows.Value > 2) e4 = Vector512.MultiplyAddEstimate(u3, y, Vector512.MultiplyAddEstimate(r3, x, e4));
            }

            if (rest == 0) break;
            row = rests;
            (row1, row2, row3) = (Step * size, 2 * Step * size, 3 * Step * size);
            end = row + Step * size;
            (rest, share) = (0, 0);
        }

        float* scores = (float*)tile.Sums;
        DotKernel.Store(a0, b0, c0, e0, rows, scores, tile.IsFirst);
        if (TQueries.Value > 1) DotKernel.Store(a1, b1, c1, e1, rows, scores += tile.SumStride, tile.IsFirst);
        if (TQueries.Value > 2) DotKernel.Store(a2, b2, c2, e2, rows, scores += tile.SumStride, tile.IsFirst);
        if (TQueries.Value > 3) DotKernel.Store(a3, b3, c3, e3, rows, scores += tile.SumStride, tile.IsFirst);
        if (TQueries.Value > 4) DotKernel.Store(a4, b4, c4, e4, rows, scores + tile.SumStride, tile.IsFirst);
    }
}
