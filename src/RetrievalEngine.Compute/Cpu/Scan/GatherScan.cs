using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>
/// Inner products of rows that lie anywhere with one query, to the bits of <see cref="DotKernel"/>. No processor guesses where such rows lie, so the next ones are
/// fetched while these are multiplied; four side by side keep more loads under way than one behind the other.
/// </summary>
internal static unsafe class GatherScan
{
    /// <summary>Rows side by side.</summary>
    public const int Rows = 4;

    private const int Step = DotKernel.Step, Line = DotKernel.Line;

    /// <summary>
    /// scores [count] of up to <see cref="Rows"/> rows, while as many at <paramref name="next"/> are fetched; any address will do. Pointers beyond
    /// <paramref name="count"/> are of rows too. The query is prepared, <paramref name="chunk"/> as <see cref="DotKernel.Chunk(long)"/> gives it.
    /// </summary>
    public static void Multiply<TFormat>(byte** rows, byte** next, int count, float* query, long d, long chunk, float* scores)
        where TFormat : struct, IElementFormat
    {
        Vector128<float> sums = default;
        for (long at = 0; at < d; at += chunk)
        {
            Vector128<float> part = Chunk<TFormat>(rows, next, at * TFormat.Size, query + at, Math.Min(chunk, d - at));
            sums = at == 0 ? part : sums + part;
        }

        for (int i = 0; i < count; i++) scores[i] = sums[i];
    }

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Vector128<float> Chunk<TFormat>(byte** rows, byte** next, long at, float* query, long d)
        where TFormat : struct, IElementFormat
    {
        byte* rests = stackalloc byte[Rows * Step * sizeof(float)];
        int rest = 0, size = Step * TFormat.Size;
        for (int i = 0; i < Rows; i++) rest = DotKernel.CopyRests<TFormat>(rows[i] + at, 0, 1, 1, d, rests + i * size);
        byte* row0 = rows[0] + at, row1 = rows[1] + at, row2 = rows[2] + at, row3 = rows[3] + at;
        byte* next0 = next[0] + at, next1 = next[1] + at, next2 = next[2] + at, next3 = next[3] + at;
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        for (long end = (d - rest) * TFormat.Size; ;)
        {
            for (long p = 0; p < end; p += size)
            {
                Vector512<float> x = Vector512.Load(query), y = Vector512.Load(query + DotKernel.Lanes);
                query += Step;
                Add<TFormat>(row0 + p, next0 + p, x, y, ref s0);
                Add<TFormat>(row1 + p, next1 + p, x, y, ref s1);
                Add<TFormat>(row2 + p, next2 + p, x, y, ref s2);
                Add<TFormat>(row3 + p, next3 + p, x, y, ref s3);
            }

            if (rest == 0) break;
            end = size;
            row0 = rests;
            row1 = row0 + size;
            row2 = row1 + size;
            row3 = row2 + size;
            rest = 0;
        }

        return DotKernel.Sums(s0, s1, s2, s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TFormat>(byte* row, byte* next, Vector512<float> x, Vector512<float> y, ref Vector512<float> sum)
        where TFormat : struct, IElementFormat
    {
        TFormat.LoadPair(row, out Vector512<float> a, out Vector512<float> b);
        sum = Vector512.MultiplyAddEstimate(y, b, Vector512.MultiplyAddEstimate(x, a, sum));
        if (!Sse.IsSupported) return;
        Sse.Prefetch1(next);
        if (TFormat.Size == sizeof(float)) Sse.Prefetch1(next + Line);
    }
}
