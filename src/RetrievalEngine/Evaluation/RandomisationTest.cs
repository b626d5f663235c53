using System;
using System.Collections.Generic;
using System.Numerics;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Evaluation;

/// <summary>
/// Fisher's randomisation test of paired values, two-sided on the mean difference: if the two systems did not differ, each pair could as well be
/// swapped. Exact over all 2^n swaps for up to 17 pairs that differ, else over <see cref="Samples"/> random ones with a fixed seed (so that the same
/// values give the same p), where p = (as extreme + 1) / (samples + 1).
/// </summary>
/// <param name="P">The p-value.</param>
/// <param name="Permutations">How many assignments of swaps were looked at.</param>
/// <param name="IsExact">Whether those were all.</param>
public readonly record struct RandomisationTest(double P, int Permutations, bool IsExact)
{
    /// <summary>Random permutations where there are too many for all of them.</summary>
    public const int Samples = 100_000;

    private const int MaxExact = 17;
    private const ulong Seed = 20240607;
    private const int GroupSize = 8;

    /// <summary>Tests whether <paramref name="a"/> and <paramref name="b"/> have the same mean.</summary>
    public static RandomisationTest Compute(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(a.Length, b.Length);
        List<double> differences = [];
        double total = 0, size = 0;
        for (int i = 0; i < a.Length; i++)
        {
            if (a[i] == b[i]) continue;
            differences.Add(a[i] - b[i]);
            total += a[i] - b[i];
            size += Math.Abs(a[i] - b[i]);
        }

        // Sums that differ by rounding alone count as equal.
        double extreme = Math.Abs(total) - (1e-14 * size);
        double[] sums = SubsetSums(differences);
        int groups = sums.Length >> GroupSize;
        if (differences.Count <= MaxExact)
        {
            int all = 1 << differences.Count, asExtreme = 0;
            for (int swaps = 0; swaps < all; swaps++)
            {
                double swapped = 0;
                for (int g = 0; g < groups; g++) swapped += sums[(g << GroupSize) | ((swaps >> (g * GroupSize)) & 0xFF)];
                if (Math.Abs(total - (2 * swapped)) >= extreme) asExtreme++;
            }

            return new RandomisationTest((double)asExtreme / all, all, IsExact: true);
        }

        ulong state = Seed;
        int count = 0;
        for (int sample = 0; sample < Samples; sample++)
        {
            double swapped = 0;
            ulong bits = 0;
            for (int g = 0; g < groups; g++)
            {
                if (g % 8 == 0) bits = Dropout.Mix(state += 0x9E3779B97F4A7C15);
                swapped += sums[(g << GroupSize) | (int)(bits & 0xFF)];
                bits >>= 8;
            }

            if (Math.Abs(total - (2 * swapped)) >= extreme) count++;
        }

        return new RandomisationTest((count + 1.0) / (Samples + 1.0), Samples, IsExact: false);
    }

    /// <summary>For each group of eight differences the sum of each of its 256 subsets, so that a permutation is one look-up a group.</summary>
    private static double[] SubsetSums(List<double> differences)
    {
        int groups = (differences.Count + GroupSize - 1) / GroupSize;
        double[] sums = new double[groups << GroupSize];
        for (int g = 0; g < groups; g++)
        {
            Span<double> group = sums.AsSpan(g << GroupSize, 1 << GroupSize);
            for (int subset = 1; subset < group.Length; subset++)
            {
                int first = (g * GroupSize) + BitOperations.TrailingZeroCount(subset);
                group[subset] = group[subset & (subset - 1)] + (first < differences.Count ? differences[first] : 0);
            }
        }

        return sums;
    }
}
