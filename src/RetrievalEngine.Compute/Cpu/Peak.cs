using System;
using System.Diagnostics;
using System.Linq;
using System.Runtime.Intrinsics;
using System.Threading;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>What the machine can do at best, measured in the run whose results are held against it.</summary>
public static unsafe class Peak
{
    private const int FmaRuns = 50, FmaRounds = 400_000, Accumulators = 10, ReadPasses = 7;
    private const long ReadBytes = 512L << 20;

    /// <summary>
    /// float32 fused multiply-adds in flops per second over <paramref name="threads"/> threads: independent accumulators of the widest vectors, enough for two
    /// units with a latency of four; best of many runs of a millisecond, so that some meet no other user of the machine. From the first thread's start to
    /// the last one's end.
    /// </summary>
    public static double Fma(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        bool wide = Vector512.IsHardwareAccelerated;
        double flops = 2.0 * FmaRounds * Accumulators * (wide ? Vector512<float>.Count : Vector256<float>.Count), best = 0, sink = 0;
        for (int run = 0; run < FmaRuns; run++)
        {
            using Barrier barrier = new(threads);
            Thread[] workers = new Thread[threads];
            long[] starts = new long[threads], ends = new long[threads];
            for (int t = 0; t < threads; t++)
            {
                int mine = t;
                workers[t] = new Thread(() =>
                {
                    barrier.SignalAndWait();
                    starts[mine] = Stopwatch.GetTimestamp();
                    // Written for others to see, so that the loop is not left out.
                    Volatile.Write(ref sink, wide ? Chains512() : Chains256());
                    ends[mine] = Stopwatch.GetTimestamp();
                });
                workers[t].Start();
            }

            foreach (Thread worker in workers) worker.Join();
            best = Math.Max(best, threads * flops / Stopwatch.GetElapsedTime(starts.Min(), ends.Max()).TotalSeconds);
        }

        return best;
    }

    /// <summary>Bytes per second that <paramref name="threads"/> threads read from memory, in passes over more than caches hold.</summary>
    public static double Read(int threads)
    {
        using CpuMemory memory = new(ReadBytes);
        new Span<byte>(memory.Pointer, (int)ReadBytes).Fill(1);
        return Read(threads, memory.Pointer, ReadBytes);
    }

    /// <summary>The same in passes over <paramref name="bytes"/> bytes at <paramref name="start"/>, median of several.</summary>
    internal static double Read(int threads, byte* start, long bytes)
    {
        using Workers workers = new(threads);
        double[] seconds = new double[ReadPasses];
        Read(workers, start, bytes);
        for (int i = 0; i < seconds.Length; i++)
        {
            long begin = Stopwatch.GetTimestamp();
            Read(workers, start, bytes);
            seconds[i] = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        }

        Array.Sort(seconds);
        return bytes / threads / ReadJob.Step * ReadJob.Step * threads / seconds[seconds.Length / 2];
    }

    /// <summary>Reads <paramref name="bytes"/> bytes at <paramref name="start"/> once, for pairs with what has to read as much.</summary>
    internal static void Read(Workers workers, byte* start, long bytes) =>
        workers.Run(new ReadJob((float*)start, bytes / workers.Count / ReadJob.Step * ReadJob.Step / sizeof(float)), workers.Count);

    private static float Chains512()
    {
        Vector512<float> x = Vector512.Create(0.999f), y = Vector512.Create(0.001f);
        Vector512<float> a0 = x, a1 = x, a2 = x, a3 = x, a4 = x, a5 = y, a6 = y, a7 = y, a8 = y, a9 = y;
        for (int i = 0; i < FmaRounds; i++)
        {
            a0 = Vector512.FusedMultiplyAdd(a0, x, y);
            a1 = Vector512.FusedMultiplyAdd(a1, x, y);
            a2 = Vector512.FusedMultiplyAdd(a2, x, y);
            a3 = Vector512.FusedMultiplyAdd(a3, x, y);
            a4 = Vector512.FusedMultiplyAdd(a4, x, y);
            a5 = Vector512.FusedMultiplyAdd(a5, x, y);
            a6 = Vector512.FusedMultiplyAdd(a6, x, y);
            a7 = Vector512.FusedMultiplyAdd(a7, x, y);
            a8 = Vector512.FusedMultiplyAdd(a8, x, y);
            a9 = Vector512.FusedMultiplyAdd(a9, x, y);
        }

        return Vector512.Sum(a0 + a1 + a2 + a3 + a4 + (a5 + a6 + a7 + a8 + a9));
    }

    private static float Chains256()
    {
        Vector256<float> x = Vector256.Create(0.999f), y = Vector256.Create(0.001f);
        Vector256<float> a0 = x, a1 = x, a2 = x, a3 = x, a4 = x, a5 = y, a6 = y, a7 = y, a8 = y, a9 = y;
        for (int i = 0; i < FmaRounds; i++)
        {
            a0 = Vector256.FusedMultiplyAdd(a0, x, y);
            a1 = Vector256.FusedMultiplyAdd(a1, x, y);
            a2 = Vector256.FusedMultiplyAdd(a2, x, y);
            a3 = Vector256.FusedMultiplyAdd(a3, x, y);
            a4 = Vector256.FusedMultiplyAdd(a4, x, y);
            a5 = Vector256.FusedMultiplyAdd(a5, x, y);
            a6 = Vector256.FusedMultiplyAdd(a6, x, y);
            a7 = Vector256.FusedMultiplyAdd(a7, x, y);
            a8 = Vector256.FusedMultiplyAdd(a8, x, y);
            a9 = Vector256.FusedMultiplyAdd(a9, x, y);
        }

        return Vector256.Sum(a0 + a1 + a2 + a3 + a4 + (a5 + a6 + a7 + a8 + a9));
    }

    private readonly struct ReadJob(float* start, long floatsPerTask) : IJob
    {
        /// <summary>Bytes of one turn of the loop: what is read is a multiple of it.</summary>
        public const int Step = 512;

        private static float Sink { get; set; }

        public void Run(int task)
        {
            Vector512<float> a = default, b = default, c = default, d = default, e = default, f = default, g = default, h = default;
            float* from = start + task * floatsPerTask, end = from + floatsPerTask;
            for (; from < end; from += Step / sizeof(float))
            {
                a += Vector512.Load(from);
                b += Vector512.Load(from + 16);
                c += Vector512.Load(from + 32);
                d += Vector512.Load(from + 48);
                e += Vector512.Load(from + 64);
                f += Vector512.Load(from + 80);
                g += Vector512.Load(from + 96);
                h += Vector512.Load(from + 112);
            }

            Sink = Vector512.Sum(a + b + c + d + (e + f + g + h));
        }
    }
}
