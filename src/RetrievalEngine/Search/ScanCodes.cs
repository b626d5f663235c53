using System;
using System.Runtime.Intrinsics;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Search;

/// <summary>
/// Rows as signed bytes for a quick scan whose scores bound those of the rows themselves, so that its result can be proven.
/// <para>
/// A row x of D floats has codes c with scale s, both exact in float32, and an error e such that for every query q within ε = 2⁻¹² of q₀ / |q₀| the float32
/// score that brute force gives for q₀, divided by |q₀|, is at most fl(fl(s · fl(Σ qᵢ cᵢ)) + e). With u = 2⁻²⁴ and γ = (D + 4) u / (1 - (D + 4) u), the bound
/// of sums of D products in any order, fused or not (Higham, Accuracy and Stability, §3.1):
/// </para>
/// <list type="bullet">
/// <item>quantisation: q·x ≤ s q·c + |q| |x - s c| (Cauchy-Schwarz), |q| ≤ 1 + ε; the length of the rest is computed, not estimated;</item>
/// <item>the scan: |fl(Σ qᵢ cᵢ) - q·c| ≤ γ |q| |c|, the products by s and the sum with e round once each: together ≤ (1 + ε) (γ s |c| + 3 u (|x| + e));</item>
/// <item>brute force: |fl(q₀·x) - q₀·x| ≤ γ |q₀| |x|;</item>
/// <item>the query: q₀/|q₀| · x ≤ q·x + ε |x|.</item>
/// </list>
/// So e = |x - s c| + ε (|x| + |x - s c|) + (1 + ε) (γ (s |c| + |x|) + 8 u (|x| + |x - s c|)), enlarged by 10⁻⁶ for the arithmetic on the bound itself, and 10⁻³⁶
/// for what vanishes.
/// <para>The ε is room for a query of <see cref="FixedPoint"/>, which is scanned in integers.</para>
/// </summary>
internal static class ScanCodes
{
    private const int Lanes = 16;
    private const float LargestCode = 127;
    private const double QueryError = 1.0 / (1 << 12);

    /// <summary>Writes the codes of <paramref name="row"/>, finite numbers.</summary>
    public static (float Scale, float Error) Encode(ReadOnlySpan<float> row, Span<sbyte> codes)
    {
        float most = 0;
        foreach (float x in row) most = Math.Max(most, Math.Abs(x));
        float scale = most / LargestCode;
        double rest = 0, length = 0, coded = 0;
        for (int i = 0; i < row.Length; i++)
        {
            codes[i] = scale == 0 ? (sbyte)0 : (sbyte)Math.Clamp(MathF.Round(row[i] / scale), -LargestCode, LargestCode);
            double value = (double)scale * codes[i], difference = row[i] - value;
            rest += difference * difference;
            length += (double)row[i] * row[i];
            coded += value * value;
        }

        (rest, length, coded) = (Math.Sqrt(rest), Math.Sqrt(length), Math.Sqrt(coded));
        const double Rounding = 1.0 / (1 << 24);
        double sums = (row.Length + 4) * Rounding / (1 - (row.Length + 4) * Rounding);
        double scan = sums * (coded + length) + 8 * Rounding * (length + rest);
        double error = (rest + QueryError * (length + rest) + (1 + QueryError) * scan) * (1 + 1e-6) + 1e-36;
        return (scale, MathF.BitIncrement((float)error));
    }

    /// <summary>
    /// What is scanned for <paramref name="query"/>: the query divided by its <paramref name="length"/>, in fixed point where that is near enough.
    /// </summary>
    public static void Scale(ReadOnlySpan<float> query, double length, Span<float> scaled)
    {
        Divide(query, length, scaled);
        if (FixedPoint.TryRound(scaled) && !(Distance(query, length, scaled) * (1 + 1e-9) <= QueryError)) Divide(query, length, scaled);
    }

    /// <summary>
    /// The largest float32 score that a row can have whose bound by the scan, for the query divided by its <paramref name="length"/>, is at most
    /// <paramref name="bound"/>.
    /// </summary>
    public static double LargestScore(float bound, double length, int dimensions)
    {
        double score = bound * length;
        // The length is double; products of brute force that vanish are off by half of the smallest number each.
        return score + Math.Abs(score) * 1e-9 + dimensions * 1.5e-45;
    }

    private static void Divide(ReadOnlySpan<float> query, double length, Span<float> scaled)
    {
        int i = 0;
        for (; i <= query.Length - Lanes; i += Lanes)
        {
            (Vector512<double> lower, Vector512<double> upper) = Vector512.Widen(Vector512.Create(query.Slice(i, Lanes)));
            Vector512.Narrow(lower / length, upper / length).CopyTo(scaled[i..]);
        }

        for (; i < query.Length; i++) scaled[i] = (float)(query[i] / length);
    }

    /// <summary>The length of what <paramref name="scaled"/> and the query divided by its length differ in.</summary>
    private static double Distance(ReadOnlySpan<float> query, double length, ReadOnlySpan<float> scaled)
    {
        Vector512<double> sums = default;
        int i = 0;
        for (; i <= query.Length - Lanes; i += Lanes)
        {
            (Vector512<double> lower, Vector512<double> upper) = Vector512.Widen(Vector512.Create(query.Slice(i, Lanes)));
            (Vector512<double> lowerScaled, Vector512<double> upperScaled) = Vector512.Widen(Vector512.Create(scaled.Slice(i, Lanes)));
            (lower, upper) = (lowerScaled - lower / length, upperScaled - upper / length);
            sums += lower * lower + upper * upper;
        }

        double squares = Vector512.Sum(sums);
        for (; i < query.Length; i++)
        {
            double difference = scaled[i] - query[i] / length;
            squares += difference * difference;
        }

        return Math.Sqrt(squares);
    }
}
