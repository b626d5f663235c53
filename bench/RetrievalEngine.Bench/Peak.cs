using System;
using System.Diagnostics;
using System.Linq;
using System.Runtime.Intrinsics;
using System.Threading;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Bench;

/// <summary>What the machine can do at best, measured in the run whose results are held against it.</summary>
internal static unsafe class Peak
{
    /// <summary>
    /// float32 fused multiply-adds in flops per second over <paramref name="threads"/> threads: 16 independent accumulators of 512 bits each, best
    /// of many runs of a millisecond, so that some meet no other user of the machine. From the first thread's start to the last one's end.
    /// </summary>
    public static double Fma(int threads)
    {
        const int rounds = 400_000;
        double best = 0;
        for (int run = 0; run < 50; run++)
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
                    if (float.IsNaN(Chains(rounds))) Console.Error.WriteLine("NaN");
                    ends[mine] = Stopwatch.GetTimestamp();
                });
                workers[t].Start();
            }

            foreach (Thread worker in workers) worker.Join();
            double seconds = Stopwatch.GetElapsedTime(starts.Min(), ends.Max()).TotalSeconds;
            best = Math.Max(best, threads * (double)rounds * 16 * 16 * 2 / seconds);
        }

        return best;
    }

    /// <summary>
    /// Bytes per second that <paramref name="threads"/> threads read from memory, in passes over <paramref name="bytes"/> bytes at
    /// <paramref name="start"/>, median of several.
    /// </summary>
    public static double Read(int threads, byte* start, long bytes)
    {
        using Workers workers = new(threads);
        long each = bytes / threads / 512 * 512;
        return each * threads / Timing.Median(() => Read(workers, start, bytes), 7);
    }

    /// <summary>Reads <paramref name="bytes"/> bytes at <paramref name="start"/> once, for pairs with what has to read as much.</summary>
    public static void Read(Workers workers, byte* start, long bytes) =>
        workers.Run(new ReadJob((float*)start, bytes / workers.Count / 512 * 512 / sizeof(float)), workers.Count);

    private static float Chains(int rounds)
    {
        Vector512<float> x = Vector512.Create(0.999f), y = Vector512.Create(0.001f);
        Vector512<float> a0 = x, a1 = x, a2 = x, a3 = x, a4 = x, a5 = x, a6 = x, a7 = x;
        Vector512<float> b0 = y, b1 = y, b2 = y, b3 = y, b4 = y, b5 = y, b6 = y, b7 = y;
        for (int i = 0; i < rounds; i++)
        {
            a0 = Vector512.FusedMultiplyAdd(a0, x, y);
            a1 = Vector512.FusedMultiplyAdd(a1, x, y);
            a2 = Vector512.FusedMultiplyAdd(a2, x, y);
            a3 = Vector512.FusedMultiplyAdd(a3, x, y);
            a4 = Vector512.FusedMultiplyAdd(a4, x, y);
            a5 = Vector512.FusedMultiplyAdd(a5, x, y);
            a6 = Vector512.FusedMultiplyAdd(a6, x, y);
            a7 = Vector512.FusedMultiplyAdd(a7, x, y);
            b0 = Vector512.FusedMultiplyAdd(b0, x, y);
            b1 = Vector512.FusedMultiplyAdd(b1, x, y);
            b2 = Vector512.FusedMultiplyAdd(b2, x, y);
            b3 = Vector512.FusedMultiplyAdd(b3, x, y);
            b4 = Vector512.FusedMultiplyAdd(b4, x, y);
            b5 = Vector512.FusedMultiplyAdd(b5, x, y);
            b6 = Vector512.FusedMultiplyAdd(b6, x, y);
            b7 = Vector512.FusedMultiplyAdd(b7, x, y);
        }

        return Vector512.Sum(a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + b0 + b1 + b2 + b3 + b4 + b5 + b6 + b7);
    }

    private readonly struct ReadJob(float* start, long floatsPerTask) : IJob
    {
        private static float Sink { get; set; }

        public void Run(int task)
        {
            Vector512<float> a = default, b = default, c = default, d = default, e = default, f = default, g = default, h = default;
            float* from = start + task * floatsPerTask, end = from + floatsPerTask;
            for (; from < end; from += 128)
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
