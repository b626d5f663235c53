using System;

namespace RetrievalEngine.Evaluation;

/// <summary>Ranks of values, ties sharing the mean of their ranks.</summary>
internal static class Ranks
{
    /// <summary>
    /// The rank of each value, from 1 for the smallest; <paramref name="tieCorrection"/> is Σ (t³ - t) over groups of t equal values.
    /// </summary>
    public static double[] Average(ReadOnlySpan<double> values, out double tieCorrection)
    {
        double[] sorted = values.ToArray();
        int[] order = new int[sorted.Length];
        for (int i = 0; i < order.Length; i++) order[i] = i;
        Array.Sort(sorted, order);
        double[] ranks = new double[sorted.Length];
        tieCorrection = 0;
        for (int start = 0; start < sorted.Length;)
        {
            int end = start + 1;
            while (end < sorted.Length && sorted[end] == sorted[start]) end++;
            double size = end - start;
            tieCorrection += (size * size * size) - size;
            for (int i = start; i < end; i++) ranks[order[i]] = (start + 1 + end) / 2.0;
            start = end;
        }

        return ranks;
    }
}
