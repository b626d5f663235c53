using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using RetrievalEngine.Compute.Cpu.Gemm;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>
/// Inner products of long rows with one query. Memory is the limit, and how much of it is under way: a processor holds so many loads, so several rows share each load
/// of a query that is too long for the level 1 cache.
/// </summary>
internal static unsafe class ColumnScan
{
    private const int MostRows = 8, Line = DotKernel.Line;

    /// <summary>scores [count]; rows are <paramref name="stride"/> bytes apart, the query is prepared, its chunks one behind the other.</summary>
    public static void Multiply<TFormat>(byte* rows, long stride, int count, float* query, long d, long chunk, float* scores)
        where TFormat : struct, IElementFormat
    {
        int step = Avx512F.IsSupported ? MostRows : MostRows / 2;
        for (int row = 0; row < count; row += step)
        {
            byte* first = rows + row * stride, next = first + step * stride;
            int present = Math.Min(step, count - row);
            for (long at = 0; at < d; at += chunk)
            {
                byte* from = first + at * TFormat.Size, behind = next + step * at * TFormat.Size;
                long elements = Math.Min(chunk, d - at);
                if (step == MostRows) Column<TFormat, N8>(from, stride, present, query + at, elements, scores + row, at == 0, behind);
                else Column<TFormat, N4>(from, stride, present, query + at, elements, scores + row, at == 0, behind);
            }
        }
    }

    /// <summary>
    /// A step of the <paramref name="number"/>th row of a column, and what it fetches of <paramref name="next"/>. Of two lines of 16-bit elements one is enough,
    /// the processor adds its neighbour; each instruction less lets it look further ahead.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TFormat>(byte* row, Vector512<float> x, Vector512<float> y, byte* next, int number, ref Vector512<float> sum)
        where TFormat : struct, IElementFormat
    {
        TFormat.LoadPair(row, out Vector512<float> a, out Vector512<float> b);
        sum = Vector512.MultiplyAddEstimate(y, b, Vector512.MultiplyAddEstimate(x, a, sum));
        if (!Sse.IsSupported) return;
        byte* at = next + number * DotKernel.Step * TFormat.Size;
        if (TFormat.Size == sizeof(float)) Sse.Prefetch1(at + Line);
        if (TFormat.Size == sizeof(float) || number % 2 == 0) Sse.Prefetch1(at);
    }

    /// <summary>
    /// Up to <typeparamref name="TRows"/> rows and one query. Rows that are not there are the last one again. As many rows behind them are fetched
    /// meanwhile, one behind the other: one stream for the memory, where each row fetching its own would be eight.
    /// </summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Column<TFormat, TRows>(byte* row, long rowStride, int rows, float* query, long d, float* scores, bool isFirst, byte* next)
        where TFormat : struct, IElementFormat
        where TRows : struct, IConstant
    {
        byte* rests = stackalloc byte[MostRows * DotKernel.Step * sizeof(float)];
        int rest = DotKernel.CopyRests<TFormat>(row, rowStride, rows, TRows.Value, d, rests), size = TFormat.Size;
        byte* row1 = row + Math.Min(1, rows - 1) * rowStride, row2 = row + Math.Min(2, rows - 1) * rowStride, row3 = row + Math.Min(3, rows - 1) * rowStride;
        byte* row4 = row + Math.Min(4, rows - 1) * rowStride, row5 = row + Math.Min(5, rows - 1) * rowStride, row6 = row + Math.Min(6, rows - 1) * rowStride;
        byte* row7 = row + (rows - 1) * rowStride;
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
        for (long end = (d - rest) * size; ;)
        {
            for (long p = 0; p < end; p += DotKernel.Step * size)
            {
                Vector512<float> x = Vector512.Load(query), y = Vector512.Load(query + DotKernel.Lanes);
                query += DotKernel.Step;
                Add<TFormat>(row + p, x, y, next, 0, ref s0);
                Add<TFormat>(row1 + p, x, y, next, 1, ref s1);
                Add<TFormat>(row2 + p, x, y, next, 2, ref s2);
                Add<TFormat>(row3 + p, x, y, next, 3, ref s3);
                if (TRows.Value > 4)
                {
                    Add<TFormat>(row4 + p, x, y, next, 4, ref s4);
                    Add<TFormat>(row5 + p, x, y, next, 5, ref s5);
                    Add<TFormat>(row6 + p, x, y, next, 6, ref s6);
                    Add<TFormat>(row7 + p, x, y, next, 7, ref s7);
                }

                next += TRows.Value * DotKernel.Step * size;
            }

            if (rest == 0) break;
            end = DotKernel.Step * size;
            row = rests;
            row1 = row + end;
            row2 = row1 + end;
            row3 = row2 + end;
            row4 = row3 + end;
            row5 = row4 + end;
            row6 = row5 + end;
            row7 = row6 + end;
            rest = 0;
        }

        DotKernel.Store(s0, s1, s2, s3, Math.Min(rows, 4), scores, isFirst);
        if (rows > 4) DotKernel.Store(s4, s5, s6, s7, rows - 4, scores + 4, isFirst);
    }
}
