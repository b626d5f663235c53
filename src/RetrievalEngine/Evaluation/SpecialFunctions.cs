using System;

namespace RetrievalEngine.Evaluation;

/// <summary>The two functions that p-values need, to about 1e-14.</summary>
internal static class SpecialFunctions
{
    private const double Smallest = 1e-300;
    private const int MaxTerms = 10_000;

    // Lanczos' approximation of ln Γ, g = 7, nine coefficients (P. Godfrey, "A note on the computation of the convergent Lanczos complex Gamma
    // approximation", 2001).
    private const double LanczosG = 7;

    private static ReadOnlySpan<double> Lanczos =>
    [
        0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
        12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
    ];

    /// <summary>P(|T| ≥ |<paramref name="t"/>|) of Student's t with <paramref name="degrees"/> degrees of freedom.</summary>
    public static double StudentTwoSided(double t, double degrees)
    {
        if (double.IsNaN(t)) return double.NaN;
        if (double.IsInfinity(t)) return 0;
        return IncompleteBeta(degrees / 2, 0.5, degrees / (degrees + (t * t)), t * t / (degrees + (t * t)));
    }

    /// <summary>P(|Z| ≥ |<paramref name="z"/>|) of the standard normal distribution: erfc(|z| / √2).</summary>
    public static double NormalTwoSided(double z)
    {
        double x = z * z / 2;
        if (double.IsNaN(x)) return double.NaN;
        return x < 1.5 ? 1 - LowerGammaOfHalf(x) : UpperGammaOfHalf(x);
    }

    /// <summary>
    /// The regularised incomplete beta function I_x(a, b), <paramref name="y"/> = 1 - x given apart because the subtraction would lose digits:
    /// continued fraction by Lentz's method (Press et al., Numerical Recipes §6.4), on the side where it converges fast.
    /// </summary>
    private static double IncompleteBeta(double a, double b, double x, double y)
    {
        if (x <= 0) return 0;
        if (y <= 0) return 1;
        double front = Math.Exp(LogGamma(a + b) - LogGamma(a) - LogGamma(b) + (a * Math.Log(x)) + (b * Math.Log(y)));
        return x < (a + 1) / (a + b + 2) ? front * BetaFraction(a, b, x) / a : 1 - (front * BetaFraction(b, a, y) / b);
    }

    private static double BetaFraction(double a, double b, double x)
    {
        double c = 1;
        double d = 1 / NotZero(1 - ((a + b) * x / (a + 1)));
        double fraction = d;
        for (int m = 1; m < MaxTerms; m++)
        {
            double even = m * (b - m) * x / ((a + (2 * m) - 1) * (a + (2 * m)));
            d = 1 / NotZero(1 + (even * d));
            c = NotZero(1 + (even / c));
            fraction *= d * c;
            double odd = -(a + m) * (a + b + m) * x / ((a + (2 * m)) * (a + (2 * m) + 1));
            d = 1 / NotZero(1 + (odd * d));
            c = NotZero(1 + (odd / c));
            fraction *= d * c;
            if (Math.Abs((d * c) - 1) < 1e-16) break;
        }

        return fraction;
    }

    /// <summary>The regularised lower incomplete gamma function P(1/2, x) = erf(√x), by its series.</summary>
    private static double LowerGammaOfHalf(double x)
    {
        double term = 2, sum = 2;
        for (int n = 1; n < MaxTerms && term > sum * 1e-17; n++) sum += term *= x / (n + 0.5);
        return sum * Math.Exp(-x) * Math.Sqrt(x / Math.PI);
    }

    /// <summary>The regularised upper incomplete gamma function Q(1/2, x) = erfc(√x), by its continued fraction.</summary>
    private static double UpperGammaOfHalf(double x)
    {
        double b = x + 0.5;
        double c = 1 / Smallest;
        double d = 1 / b;
        double fraction = d;
        for (int n = 1; n < MaxTerms; n++)
        {
            double a = -n * (n - 0.5);
            b += 2;
            d = 1 / NotZero((a * d) + b);
            c = NotZero(b + (a / c));
            fraction *= d * c;
            if (Math.Abs((d * c) - 1) < 1e-16) break;
        }

        return Math.Exp(-x) * Math.Sqrt(x / Math.PI) * fraction;
    }

    private static double LogGamma(double x)
    {
        if (x < 0.5) return Math.Log(Math.PI / Math.Sin(Math.PI * x)) - LogGamma(1 - x);
        double sum = Lanczos[0];
        for (int i = 1; i < Lanczos.Length; i++) sum += Lanczos[i] / (x - 1 + i);
        double t = x - 0.5 + LanczosG;
        return (0.5 * Math.Log(2 * Math.PI)) + ((x - 0.5) * Math.Log(t)) - t + Math.Log(sum);
    }

    private static double NotZero(double x) => Math.Abs(x) < Smallest ? Smallest : x;
}
