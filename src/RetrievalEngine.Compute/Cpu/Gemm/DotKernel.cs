using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// Inner products of rows with a few queries: both are read along the vectors, so that nothing is packed and memory is read in the order in which it
/// lies. Each product is 16 sums, one a lane, added up at the end in a fixed order: it depends on its row and its query alone. Written out for 4
/// rows and 6 queries and compiled for fewer of either.
/// </summary>
internal static unsafe class DotKernel
{
    private const int Lanes = 16, MostRows = 4, MostQueries = 6;
    private const long LeastAhead = 8192;

    // As many sums as there are registers for.
    private static int Rows => Avx512F.IsSupported ? MostRows : 2;

    /// <summary>Queries that share a tile.</summary>
    public static int Queries => Avx512F.IsSupported ? MostQueries : 2;

    /// <summary>
    /// scores [q · scoreStride + r] = row r · query q over <paramref name="d"/> elements. Rows are <paramref name="rowStride"/> bytes apart, queries
    /// <paramref name="queryStride"/> floats. The rows come from memory, one behind the other, and go on behind the last.
    /// </summary>
    public static void Multiply<TFormat>(byte* rows, long rowStride, int rowCount, float* queries, long queryStride, int queryCount, long d,
        float* scores, long scoreStride)
        where TFormat : struct, IElementFormat
    {
        for (int query = 0; query < queryCount; query += Queries)
        {
            // The first queries bring the rows in: as nearly one stream as there are sums enough to hide the latency of an addition.
            int step = query == 0 ? sizeof(float) / TFormat.Size : Rows;
            long ahead = query > 0 ? 0 : step == 1 ? LeastAhead : Math.Max(LeastAhead, 2 * step * rowStride);
            float* from = queries + query * queryStride, to = scores + query * scoreStride;
            int count = Math.Min(Queries, queryCount - query);
            for (int row = 0; row < rowCount; row += step)
            {
                byte* first = rows + row * rowStride;
                int present = Math.Min(step, rowCount - row);
                if (step == 1) Tile<TFormat, N1>(first, rowStride, present, from, queryStride, count, d, to + row, scoreStride, first + ahead);
                else if (step == 2) Tile<TFormat, N2>(first, rowStride, present, from, queryStride, count, d, to + row, scoreStride, first + ahead);
                else Tile<TFormat, N4>(first, rowStride, present, from, queryStride, count, d, to + row, scoreStride, first + ahead);
            }
        }
    }

    private static void Tile<TFormat, TRows>(byte* row, long rowStride, int rows, float* query, long queryStride, int queries, long d, float* scores,
        long scoreStride, byte* ahead)
        where TFormat : struct, IElementFormat
        where TRows : struct, IConstant
    {
        switch (queries)
        {
            case 1:
                Tile<TFormat, TRows, N1>(row, rowStride, rows, query, queryStride, d, scores, scoreStride, ahead);
                break;
            case 2:
                Tile<TFormat, TRows, N2>(row, rowStride, rows, query, queryStride, d, scores, scoreStride, ahead);
                break;
            case 3:
                Tile<TFormat, TRows, N3>(row, rowStride, rows, query, queryStride, d, scores, scoreStride, ahead);
                break;
            case 4:
                Tile<TFormat, TRows, N4>(row, rowStride, rows, query, queryStride, d, scores, scoreStride, ahead);
                break;
            case 5:
                Tile<TFormat, TRows, N5>(row, rowStride, rows, query, queryStride, d, scores, scoreStride, ahead);
                break;
            default:
                Tile<TFormat, TRows, N6>(row, rowStride, rows, query, queryStride, d, scores, scoreStride, ahead);
                break;
        }
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile<TFormat, TRows, TQueries>(byte* row, long rowStride, int rows, float* query, long queryStride, long d, float* scores,
        long scoreStride, byte* ahead)
        where TFormat : struct, IElementFormat
        where TRows : struct, IConstant
        where TQueries : struct, IConstant
    {
        // Rows that are not there are the last one again.
        byte* row1 = row + Math.Min(1, rows - 1) * rowStride, row2 = row + Math.Min(2, rows - 1) * rowStride, row3 = row + (rows - 1) * rowStride;
        byte* rests = stackalloc byte[MostRows * Lanes * sizeof(float)];
        float* queryRests = stackalloc float[MostQueries * Lanes];
        int rest = (int)(d % Lanes), size = Lanes * TFormat.Size;
        if (rest > 0)
        {
            // Filled up with zeros, before the sums are in registers.
            long at = d - rest;
            new Span<byte>(rests, MostRows * size).Clear();
            new Span<float>(queryRests, MostQueries * Lanes).Clear();
            for (int i = 0; i < MostRows; i++)
            {
                byte* from = row + Math.Min(i, rows - 1) * rowStride + at * TFormat.Size;
                Unsafe.CopyBlockUnaligned(rests + i * size, from, (uint)(rest * TFormat.Size));
            }

            for (int i = 0; i < TQueries.Value; i++)
            {
                Unsafe.CopyBlockUnaligned(queryRests + i * Lanes, query + i * queryStride + at, (uint)(rest * sizeof(float)));
            }
        }

        Vector512<float> a0 = default, b0 = default, c0 = default, e0 = default;
        Vector512<float> a1 = default, b1 = default, c1 = default, e1 = default;
        Vector512<float> a2 = default, b2 = default, c2 = default, e2 = default;
        Vector512<float> a3 = default, b3 = default, c3 = default, e3 = default;
        Vector512<float> a4 = default, b4 = default, c4 = default, e4 = default;
        Vector512<float> a5 = default, b5 = default, c5 = default, e5 = default;
        for (long end = d - rest; ;)
        {
            for (long p = 0; p < end; p += Lanes)
            {
                Vector512<float> r0 = TFormat.Load(row + p * TFormat.Size);
                Vector512<float> r1 = TRows.Value > 1 ? TFormat.Load(row1 + p * TFormat.Size) : default;
                Vector512<float> r2 = TRows.Value > 2 ? TFormat.Load(row2 + p * TFormat.Size) : default;
                Vector512<float> r3 = TRows.Value > 3 ? TFormat.Load(row3 + p * TFormat.Size) : default;
                float* x = query + p;
                // As many bytes as the rows take.
                if (Sse.IsSupported) Sse.Prefetch0(ahead + p * (TRows.Value * TFormat.Size));
                Vector512<float> x0 = Vector512.Load(x);
                a0 = Vector512.MultiplyAddEstimate(r0, x0, a0);
                if (TRows.Value > 1) b0 = Vector512.MultiplyAddEstimate(r1, x0, b0);
                if (TRows.Value > 2) c0 = Vector512.MultiplyAddEstimate(r2, x0, c0);
                if (TRows.Value > 3) e0 = Vector512.MultiplyAddEstimate(r3, x0, e0);
                if (TQueries.Value > 1)
                {
                    Vector512<float> x1 = Vector512.Load(x + queryStride);
                    a1 = Vector512.MultiplyAddEstimate(r0, x1, a1);
                    if (TRows.Value > 1) b1 = Vector512.MultiplyAddEstimate(r1, x1, b1);
                    if (TRows.Value > 2) c1 = Vector512.MultiplyAddEstimate(r2, x1, c1);
                    if (TRows.Value > 3) e1 = Vector512.MultiplyAddEstimate(r3, x1, e1);
                }
                if (TQueries.Value > 2)
                {
                    Vector512<float> x2 = Vector512.Load(x + 2 * queryStride);
                    a2 = Vector512.MultiplyAddEstimate(r0, x2, a2);
                    if (TRows.Value > 1) b2 = Vector512.MultiplyAddEstimate(r1, x2, b2);
                    if (TRows.Value > 2) c2 = Vector512.MultiplyAddEstimate(r2, x2, c2);
                    if (TRows.Value > 3) e2 = Vector512.MultiplyAddEstimate(r3, x2, e2);
                }
                if (TQueries.Value > 3)
                {
                    Vector512<float> x3 = Vector512.Load(x + 3 * queryStride);
                    a3 = Vector512.MultiplyAddEstimate(r0, x3, a3);
                    if (TRows.Value > 1) b3 = Vector512.MultiplyAddEstimate(r1, x3, b3);
                    if (TRows.Value > 2) c3 = Vector512.MultiplyAddEstimate(r2, x3, c3);
                    if (TRows.Value > 3) e3 = Vector512.MultiplyAddEstimate(r3, x3, e3);
                }
                if (TQueries.Value > 4)
                {
                    Vector512<float> x4 = Vector512.Load(x + 4 * queryStride);
                    a4 = Vector512.MultiplyAddEstimate(r0, x4, a4);
                    if (TRows.Value > 1) b4 = Vector512.MultiplyAddEstimate(r1, x4, b4);
                    if (TRows.Value > 2) c4 = Vector512.MultiplyAddEstimate(r2, x4, c4);
                    if (TRows.Value > 3) e4 = Vector512.MultiplyAddEstimate(r3, x4, e4);
                }
                if (TQueries.Value > 5)
                {
                    Vector512<float> x5 = Vector512.Load(x + 5 * queryStride);
                    a5 = Vector512.MultiplyAddEstimate(r0, x5, a5);
                    if (TRows.Value > 1) b5 = Vector512.MultiplyAddEstimate(r1, x5, b5);
                    if (TRows.Value > 2) c5 = Vector512.MultiplyAddEstimate(r2, x5, c5);
                    if (TRows.Value > 3) e5 = Vector512.MultiplyAddEstimate(r3, x5, e5);
                }
            }

            if (rest == 0) break;
            row = rests;
            row1 = rests + size;
            row2 = rests + 2 * size;
            row3 = rests + 3 * size;
            query = queryRests;
            (queryStride, end, rest) = (Lanes, Lanes, 0);
        }

        Store(a0, b0, c0, e0, rows, scores);
        if (TQueries.Value > 1) Store(a1, b1, c1, e1, rows, scores + scoreStride);
        if (TQueries.Value > 2) Store(a2, b2, c2, e2, rows, scores + 2 * scoreStride);
        if (TQueries.Value > 3) Store(a3, b3, c3, e3, rows, scores + 3 * scoreStride);
        if (TQueries.Value > 4) Store(a4, b4, c4, e4, rows, scores + 4 * scoreStride);
        if (TQueries.Value > 5) Store(a5, b5, c5, e5, rows, scores + 5 * scoreStride);
    }

    /// <summary>Adds up the lanes of four sums and stores those of rows that are there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> e, int rows, float* scores)
    {
        if (Avx512F.IsSupported && rows == MostRows)
        {
            Sums(a, b, c, e).Store(scores);
            return;
        }

        Vector128<float> sums = Sums(a, b, c, e);
        for (int i = 0; i < rows; i++) scores[i] = sums[i];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Sums(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> e)
    {
        if (!Avx512F.IsSupported) return Vector128.Create(Vector512.Sum(a), Vector512.Sum(b), Vector512.Sum(c), Vector512.Sum(e));
        Vector512<double> ab = (Avx512F.UnpackLow(a, b) + Avx512F.UnpackHigh(a, b)).AsDouble(),
            ce = (Avx512F.UnpackLow(c, e) + Avx512F.UnpackHigh(c, e)).AsDouble();
        Vector512<float> all = Avx512F.UnpackLow(ab, ce).AsSingle() + Avx512F.UnpackHigh(ab, ce).AsSingle();
        Vector256<float> half = all.GetLower() + all.GetUpper();
        return half.GetLower() + half.GetUpper();
    }
}
