using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using RetrievalEngine.Compute.Cpu.Gemm;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>
/// Inner products of float32 rows with one query, to the bits of <see cref="DotKernel"/>: 16 sums a row, one a lane, of which each takes its elements in order. Rows are
/// read one behind the other, which is one stream for the memory whatever their width; the processor overlaps the sums of neighbours by itself, and the query
/// comes from the level 1 cache beside them.
/// </summary>
internal static unsafe class RowScan
{
    private const int Lanes = 16, Step = 2 * Lanes, Group = 4;

    // Elements between what is read and what is asked for.
    private const long Ahead = 1024;

    /// <summary>scores [count]; rows are <paramref name="stride"/> bytes apart, the query is prepared.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(byte* rows, long stride, int count, float* query, long d, float* scores)
    {
        float* rests = stackalloc float[Step];
        long whole = d / Step * Step;
        int rest = (int)(d % Step);
        Vector512<float>* sums = stackalloc Vector512<float>[Group];
        for (int first = 0; first < count; first += Group)
        {
            int present = count - first < Group ? count - first : Group;
            for (int i = 0; i < present; i++)
            {
                float* row = (float*)(rows + (first + i) * stride);
                Vector512<float> sum = default;
                for (long p = 0; p < whole; p += Step)
                {
                    sum = Vector512.MultiplyAddEstimate(Vector512.Load(row + p), Vector512.Load(query + p), sum);
                    sum = Vector512.MultiplyAddEstimate(Vector512.Load(row + p + Lanes), Vector512.Load(query + p + Lanes), sum);
                    if (!Sse.IsSupported) continue;
                    Sse.Prefetch0(row + p + Ahead);
                    Sse.Prefetch0(row + p + Lanes + Ahead);
                }

                if (rest > 0)
                {
                    for (int at = 0; at < Step; at++) rests[at] = at < rest ? row[whole + at] : 0;
                    sum = Vector512.MultiplyAddEstimate(Vector512.Load(rests), Vector512.Load(query + whole), sum);
                    sum = Vector512.MultiplyAddEstimate(Vector512.Load(rests + Lanes), Vector512.Load(query + whole + Lanes), sum);
                }

                sums[i] = sum;
            }

            for (int i = present; i < Group; i++) sums[i] = default;
            Vector128<float> four = DotKernel.Sums(sums[0], sums[1], sums[2], sums[3]);
            for (int i = 0; i < present; i++) scores[first + i] = four[i];
        }
    }
}
