using System;
using System.Globalization;
using System.Text;
using System.Threading;

namespace RetrievalEngine.Server;

/// <summary>Counts of values by size, as Prometheus takes them. Safe for concurrent use.</summary>
/// <param name="name">The metric.</param>
/// <param name="bounds">The upper ends of the buckets, ascending; what is larger has a bucket of its own.</param>
internal sealed class Histogram(string name, double[] bounds)
{
    private readonly Lock _lock = new();
    private readonly long[] _counts = new long[bounds.Length + 1];
    private double _sum;

    /// <summary>35 bounds from 15 µs to 14 s, in seconds: those of text-embeddings-inference.</summary>
    public static double[] Durations { get; } = Geometric(15e-6, 1.5, 35);

    /// <summary>Powers of two.</summary>
    public static double[] Sizes { get; } = Geometric(1, 2, 21);

    /// <summary>Counts <paramref name="value"/>.</summary>
    public void Observe(double value)
    {
        int bucket = Array.BinarySearch(bounds, value);
        if (bucket < 0) bucket = ~bucket;
        lock (_lock)
        {
            _counts[bucket]++;
            _sum += value;
        }
    }

    /// <summary>Appends it in Prometheus' text format.</summary>
    public void Write(StringBuilder text)
    {
        CultureInfo culture = CultureInfo.InvariantCulture;
        lock (_lock)
        {
            text.Append(culture, $"# TYPE {name} histogram\n");
            long below = 0;
            for (int i = 0; i < bounds.Length; i++) text.Append(culture, $"{name}_bucket{{le=\"{bounds[i]:G6}\"}} {below += _counts[i]}\n");
            text.Append(culture, $"{name}_bucket{{le=\"+Inf\"}} {below += _counts[^1]}\n{name}_sum {_sum:R}\n{name}_count {below}\n");
        }
    }

    private static double[] Geometric(double first, double factor, int count)
    {
        double[] values = new double[count];
        for (int i = 0; i < count; i++) values[i] = first * Math.Pow(factor, i);
        return values;
    }
}
