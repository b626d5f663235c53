using System;
using System.Diagnostics;
using System.Threading;

namespace RetrievalEngine.Bench;

/// <summary>Times on a machine that others use too: medians of many short runs, and ratios of pairs taken in turn.</summary>
internal static class Timing
{
    private const double SecondsPerRun = 0.06;

    /// <summary>Median seconds of one call.</summary>
    public static double Median(Action action, int runs = 9)
    {
        int calls = Calibrate(action);
        double[] times = new double[runs];
        for (int i = 0; i < runs; i++) times[i] = Measure(action, calls);
        return Middle(times);
    }

    /// <summary>Shortest seconds of one call: a limit of the machine, not of what else it does.</summary>
    public static double Shortest(Action action, int runs = 9)
    {
        int calls = Calibrate(action);
        double best = double.PositiveInfinity;
        for (int i = 0; i < runs; i++) best = Math.Min(best, Measure(action, calls));
        return best;
    }

    /// <summary>Median seconds of each, and the median over pairs of how many times faster the first is.</summary>
    public static (double First, double Second, double Ratio) Pairs(Action first, Action second, int pairs = 11)
    {
        int firstCalls = Calibrate(first), secondCalls = Calibrate(second);
        double[] a = new double[pairs], b = new double[pairs], ratios = new double[pairs];
        for (int i = 0; i < pairs; i++)
        {
            a[i] = Measure(first, firstCalls);
            b[i] = Measure(second, secondCalls);
            ratios[i] = b[i] / a[i];
        }

        return (Middle(a), Middle(b), Middle(ratios));
    }

    private static int Calibrate(Action action)
    {
        action();
        long start = Stopwatch.GetTimestamp();
        action();
        return Math.Clamp((int)(SecondsPerRun / Math.Max(1e-9, Stopwatch.GetElapsedTime(start).TotalSeconds)), 1, 100_000);
    }

    private static double Measure(Action action, int calls)
    {
        // Threads of the other side may spin for some ten milliseconds after their last call (OpenBLAS: 2^26 cycles).
        Thread.Sleep(60);
        action();
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < calls; i++) action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds / calls;
    }

    /// <summary>The median of <paramref name="values"/>, the upper one of an even number.</summary>
    public static double Middle(double[] values)
    {
        double[] sorted = [.. values];
        Array.Sort(sorted);
        return sorted[sorted.Length / 2];
    }
}
