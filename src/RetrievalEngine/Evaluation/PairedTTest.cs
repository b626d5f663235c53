using System;

namespace RetrievalEngine.Evaluation;

/// <summary>Student's t-test of paired values (SciPy's <c>ttest_rel</c>), two-sided.</summary>
/// <param name="T">Mean difference over its standard error; NaN for fewer than two pairs or where all differences are 0.</param>
/// <param name="P">The p-value.</param>
public readonly record struct PairedTTest(double T, double P)
{
    /// <summary>Tests whether <paramref name="a"/> - <paramref name="b"/> has mean 0.</summary>
    public static PairedTTest Compute(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(a.Length, b.Length);
        int n = a.Length;
        double mean = 0, squares = 0;
        for (int i = 0; i < n; i++) mean += a[i] - b[i];
        mean /= n;
        for (int i = 0; i < n; i++)
        {
            double deviation = a[i] - b[i] - mean;
            squares += deviation * deviation;
        }

        double t = mean / Math.Sqrt(squares / (n - 1) / n);
        return new PairedTTest(t, SpecialFunctions.StudentTwoSided(t, n - 1));
    }
}
