using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>
/// Inner products of rows with one query, to the bits of <see cref="DotKernel"/>: 16 sums a chunk, one a lane, of which each takes its elements in order. Rows are
/// read one behind the other, which is one stream that the processor prefetches by itself; it overlaps the sums of neighbours too, and the query comes from the
/// level 1 cache beside them, as long as it has room there.
/// </summary>
internal static unsafe class RowScan
{
    /// <summary>Bytes, half a small page, at whose end the processor's own prefetching begins anew; far ahead is worse for 16 bits.</summary>
    public const int Ahead = 2048;

    /// <summary>So many chunks of a query and the rows that pass have room in a level 1 cache.</summary>
    public const int MostChunks = 4;

    private const int Lanes = DotKernel.Lanes, Step = DotKernel.Step, Turn = 8 * Step, Group = 4, TwoLines = 128;

    /// <summary>
    /// scores [count]; rows are <paramref name="stride"/> bytes apart, the query is prepared; <paramref name="d"/> elements are at most <see cref="MostChunks"/>
    /// chunks. Meanwhile what lies <paramref name="ahead"/> bytes behind is fetched.
    /// </summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TFormat>(byte* rows, long stride, int count, float* query, long d, long chunk, float* scores, long ahead)
        where TFormat : struct, IElementFormat
    {
        byte* rests = stackalloc byte[Step * sizeof(float)];
        int rest = (int)(d % Step);
        float* last = query + (d - rest);
        Vector512<float>* sums = stackalloc Vector512<float>[Group * MostChunks];
        for (int first = 0; first < count; first += Group)
        {
            int present = count - first < Group ? count - first : Group, chunks = 0;
            for (int i = 0; i < present; i++)
            {
                byte* row = rows + (first + i) * stride;
                float* at = query;
                chunks = 0;
                do
                {
                    Vector512<float> sum = default;
                    float* end = last - at < chunk ? last : at + chunk, turns = at + (end - at) / Turn * Turn;
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

                    for (; at < end; at += Step, row += Step * TFormat.Size) Add<TFormat>(row, ahead, at, 0, ref sum);
                    if (at == last && rest > 0)
                    {
                        // No call here: it would cost the sum its register.
                        for (int b = 0; b < Step * TFormat.Size; b++) rests[b] = b < rest * TFormat.Size ? row[b] : (byte)0;
                        Add<TFormat>(rests, ahead, last, 0, ref sum);
                    }

                    sums[chunks++ * Group + i] = sum;
                }
                while (at < last);
            }

            Vector128<float> four = default;
            for (int i = 0; i < chunks; i++)
            {
                Vector512<float>* some = sums + i * Group;
                Vector128<float> part = DotKernel.Sums(some[0], present > 1 ? some[1] : default, present > 2 ? some[2] : default, present > 3 ? some[3] : default);
                four = i == 0 ? part : four + part;
            }

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
