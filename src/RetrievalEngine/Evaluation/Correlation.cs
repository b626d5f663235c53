using System;

namespace RetrievalEngine.Evaluation;

/// <summary>
/// Correlation of two lists of numbers, as semantic textual similarity is measured; NaN where one list is constant or has fewer than two.
/// </summary>
public static class Correlation
{
    /// <summary>Pearson's product-moment correlation.</summary>
    public static double Pearson(ReadOnlySpan<double> x, ReadOnlySpan<double> y)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(x.Length, y.Length);
        if (x.Length < 2 || IsConstant(x) || IsConstant(y)) return double.NaN;
        double meanX = Mean(x), meanY = Mean(y);
        double xx = 0, yy = 0, xy = 0;
        for (int i = 0; i < x.Length; i++)
        {
            double dx = x[i] - meanX, dy = y[i] - meanY;
            xx += dx * dx;
            yy += dy * dy;
            xy += dx * dy;
        }

        return Math.Clamp(xy / (Math.Sqrt(xx) * Math.Sqrt(yy)), -1, 1);
    }

    /// <summary>Spearman's rank correlation; equal values share the mean of their ranks.</summary>
    public static double Spearman(ReadOnlySpan<double> x, ReadOnlySpan<double> y) => Pearson(Ranks.Average(x, out _), Ranks.Average(y, out _));

    private static bool IsConstant(ReadOnlySpan<double> values) => !values.ContainsAnyExcept(values[0]);

    private static double Mean(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (double value in values) sum += value;
        return sum / values.Length;
    }
}
