using System;
using NUnit.Framework;

namespace RetrievalEngine.TestKit;

/// <summary>How near two lists of numbers must be.</summary>
public static class Agreement
{
    /// <summary>
    /// Demands a relative L2 error of at most <paramref name="tolerance"/>, and in every element an absolute error of at most 20 times that, measured
    /// by the largest expected magnitude. NaN and infinities must stand where they are expected.
    /// </summary>
    public static void Check(string name, ReadOnlySpan<double> actual, ReadOnlySpan<double> expected, double tolerance)
    {
        Assert.That(actual.Length, Is.EqualTo(expected.Length), $"{name}: number of elements");
        double largest = 0, difference = 0, norm = 0, worst = -1;
        int worstIndex = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            if (actual[i].Equals(expected[i])) continue;
            if (!double.IsFinite(actual[i]) || !double.IsFinite(expected[i])) Assert.Fail($"{name}[{i}] is {actual[i]} but should be {expected[i]}");
        }

        for (int i = 0; i < expected.Length; i++)
        {
            if (!double.IsFinite(expected[i])) continue;
            double error = Math.Abs(actual[i] - expected[i]);
            largest = Math.Max(largest, Math.Abs(expected[i]));
            difference += error * error;
            norm += expected[i] * expected[i];
            if (error > worst) (worst, worstIndex) = (error, i);
        }

        if (worst < 0) return;
        string where = $"{name}[{worstIndex}] is {actual[worstIndex]:g9} but should be {expected[worstIndex]:g9}";
        Assert.That(Math.Sqrt(difference), Is.LessThanOrEqualTo(tolerance * Math.Max(Math.Sqrt(norm), 1e-30)),
            $"{where} (relative L2 error over {tolerance})");
        Assert.That(worst, Is.LessThanOrEqualTo(20 * tolerance * Math.Max(largest, 1e-30)), $"{where} (absolute error)");
    }
}
