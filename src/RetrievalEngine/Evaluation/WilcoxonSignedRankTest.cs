using System;
using System.Collections.Generic;

namespace RetrievalEngine.Evaluation;

/// <summary>
/// Wilcoxon's signed-rank test of paired values with SciPy's conventions (<c>wilcoxon</c>): two-sided, pairs without difference dropped, no
/// continuity correction; exact for up to 50 pairs without ties and zeros or up to 13 pairs in any case, else the normal approximation with tie
/// correction.
/// </summary>
/// <param name="W">The smaller of the sums of ranks of positive and of negative differences.</param>
/// <param name="P">The p-value; NaN where no pair differs and the approximation is used.</param>
public readonly record struct WilcoxonSignedRankTest(double W, double P)
{
    private const int MaxExact = 50;
    private const int MaxExactWithTies = 13;

    /// <summary>Tests whether <paramref name="a"/> - <paramref name="b"/> is symmetric about 0.</summary>
    public static WilcoxonSignedRankTest Compute(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(a.Length, b.Length);
        List<double> differences = [];
        for (int i = 0; i < a.Length; i++)
        {
            if (a[i] != b[i]) differences.Add(a[i] - b[i]);
        }

        double[] sizes = new double[differences.Count];
        for (int i = 0; i < sizes.Length; i++) sizes[i] = Math.Abs(differences[i]);
        double[] ranks = Ranks.Average(sizes, out double tieCorrection);
        double positive = 0, negative = 0;
        for (int i = 0; i < ranks.Length; i++)
        {
            if (differences[i] > 0) positive += ranks[i];
            else negative += ranks[i];
        }

        double w = Math.Min(positive, negative);
        bool regular = tieCorrection == 0 && ranks.Length == a.Length;
        bool exact = a.Length <= (regular ? MaxExact : MaxExactWithTies);
        return new WilcoxonSignedRankTest(w, exact ? Exact(ranks, w) : Approximate(ranks.Length, positive, tieCorrection));
    }

    /// <summary>
    /// Twice the share of the 2^n assignments of signs whose positive ranks sum to at most <paramref name="w"/>, counted by dynamic programming over
    /// doubled ranks (which are whole numbers with ties too).
    /// </summary>
    private static double Exact(double[] ranks, double w)
    {
        int total = 0;
        foreach (double rank in ranks) total += (int)(2 * rank);
        double[] probability = new double[total + 1];
        probability[0] = 1;
        int reached = 0;
        foreach (double rank in ranks)
        {
            int step = (int)(2 * rank);
            reached += step;
            for (int sum = reached; sum >= 0; sum--) probability[sum] = (probability[sum] + (sum >= step ? probability[sum - step] : 0)) / 2;
        }

        double below = 0;
        for (int sum = 0; sum <= (int)(2 * w); sum++) below += probability[sum];
        return Math.Min(1, 2 * below);
    }

    private static double Approximate(double n, double positive, double tieCorrection)
    {
        double mean = n * (n + 1) / 4;
        double deviation = Math.Sqrt(((n * (n + 1) * ((2 * n) + 1)) - (tieCorrection / 2)) / 24);
        return SpecialFunctions.NormalTwoSided((positive - mean) / deviation);
    }
}
