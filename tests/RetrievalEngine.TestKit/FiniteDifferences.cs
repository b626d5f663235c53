using System;
using NUnit.Framework;

namespace RetrievalEngine.TestKit;

/// <summary>Gradients by (f(x + h) - f(x - h)) / 2h: the judge of every backward pass.</summary>
public static class FiniteDifferences
{
    /// <summary>
    /// Compares <paramref name="gradient"/> with the central differences of <paramref name="f"/> at <paramref name="x"/> in up to <paramref
    /// name="samples"/> elements, spread evenly. The error is measured by the largest element of the gradient, at least <paramref name="scale"/>.
    /// </summary>
    public static void Check(
        string name, Func<double[], double> f, ReadOnlySpan<double> x, ReadOnlySpan<double> gradient, double step = 1e-5, double tolerance = 1e-7,
        int samples = 12, double scale = 1)
    {
        foreach (double element in gradient) scale = Math.Max(scale, Math.Abs(element));
        int count = Math.Min(samples, x.Length);
        for (int sample = 0; sample < count; sample++)
        {
            int i = (int)((long)sample * x.Length / count);
            double[] moved = x.ToArray();
            moved[i] = x[i] + step;
            double above = f(moved);
            moved[i] = x[i] - step;
            double slope = (above - f(moved)) / (2 * step);
            Assert.That(gradient[i], Is.EqualTo(slope).Within(tolerance * scale),
                $"{name}[{i}]: analytic gradient (actual) against finite difference (expected)");
        }
    }

    /// <summary>Σ a · b.</summary>
    public static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }
}
