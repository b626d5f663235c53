using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>
/// Inner products of rows with one query, to the bits of <see cref="DotKernel"/>: 16 sums a row, one a lane, of which each takes its elements in order. Rows are
/// read one behind the other, which is one stream that the processor prefetches by itself; it overlaps the sums of neighbours too, and the query comes from the
/// level 1 cache beside them, as long as it has room there.
/// </summary>
internal static unsafe class RowScan
{
    /// <summary>Bytes, half a small page, at whose end the processor's own prefetching begins anew; far ahead is worse for 16 bits.</summary>
    public const int Ahead = 2048;

    private const int Lanes = DotKernel.Lanes, Step = DotKernel.Step, Turn = 8 * Step, Group = 4, TwoLines = 128;

    /// <summary>
    /// scores [count]; rows are <paramref name="stride"/> bytes apart, the query is prepared. Meanwhile what lies <paramref name="ahead"/> bytes behind is fetched.
    /// </summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TFormat>(byte* rows, long stride, int count, float* query, long d, float* scores, long ahead)
        where TFormat : struct, IElementFormat
    {
        byte* rests = stackalloc byte[Step * sizeof(float)];
        long whole = d / Step * Step;
        int rest = (int)(d % Step);
        float* last = query + whole, turns = query + d / Turn * Turn;
        Vector512<float>* sums = stackalloc Vector512<float>[Group];
        for (int first = 0; first < count; first += Group)
        {
            int present = count - first < Group ? count - first : Group;
            for (int i = 0; i < present; i++)
            {
                byte* row = rows + (first + i) * stride;
                Vector512<float> sum = default;
                float* at = query;
                for (; at < turns; at += Turn, row += Turn * TFormat.Size)
                {
                    Add<TFormat>(row, ahead, at, 0, ref sum);
                    Add<TFormat>(row, ahead, at, 1, ref sum);
                    Add<TFormat>(row, ahead, at, 2, ref sum);
                    Add<TFormat>(row, ahead, at, 3, ref sum);
                    Add<TFormat>(row, ahead, at, 4, ref sum);
                    Add<TFormat>(row, ahead, at, 5, ref sum);
                    Add<TFormat>(row, ahead, at, 6, ref sum);
                    Add<TFormat>(row, ahead, at, 7, ref sum);
                }

                for (; at < last; at += Step, row += Step * TFormat.Size) Add<TFormat>(row, ahead, at, 0, ref sum);
                if (rest > 0)
                {
                    // No call here: it would cost the sum its register.
                    for (int b = 0; b < Step * TFormat.Size; b++) rests[b] = b < rest * TFormat.Size ? row[b] : (byte)0;
                    Add<TFormat>(rests, ahead, last, 0, ref sum);
                }

                sums[i] = sum;
            }

            for (int i = present; i < Group; i++) sums[i] = default;
            Vector128<float> four = DotKernel.Sums(sums[0], sums[1], sums[2], sums[3]);
            for (int i = 0; i < present; i++) scores[first + i] = four[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TFormat>(byte* row, long ahead, float* query, int step, ref Vector512<float> sum)
        where TFormat : struct, IElementFormat
    {
        TFormat.LoadPair(row + step * Step * TFormat.Size, out Vector512<float> a, out Vector512<float> b);
        if (Sse.IsSupported && step * Step * TFormat.Size % TwoLines == 0) Sse.Prefetch1(row + step * Step * TFormat.Size + ahead);
        sum = Vector512.MultiplyAddEstimate(Vector512.Load(query + step * Step), a, sum);
        sum = Vector512.MultiplyAddEstimate(Vector512.Load(query + step * Step + Lanes), b, sum);
    }
}
