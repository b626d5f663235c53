using System;

namespace RetrievalEngine.Verification;

/// <summary>How far two vectors are apart.</summary>
internal static class Distance
{
    /// <summary>‖actual - expected‖ / ‖expected‖ in double; infinite where lengths differ or something is not finite.</summary>
    public static double RelativeL2(ReadOnlySpan<float> actual, ReadOnlySpan<float> expected)
    {
        if (actual.Length != expected.Length) return double.PositiveInfinity;
        double difference = 0, norm = 0;
        for (int i = 0; i < actual.Length; i++)
        {
            difference += ((double)actual[i] - expected[i]) * ((double)actual[i] - expected[i]);
            norm += (double)expected[i] * expected[i];
        }

        double distance = norm == 0 ? Math.Sqrt(difference) : Math.Sqrt(difference / norm);
        return double.IsFinite(distance) ? distance : double.PositiveInfinity;
    }

    /// <summary>The largest <see cref="RelativeL2"/> of any row of <paramref name="width"/> elements.</summary>
    public static double WorstRow(ReadOnlySpan<float> actual, ReadOnlySpan<float> expected, int width)
    {
        if (actual.Length != expected.Length) return double.PositiveInfinity;
        double worst = 0;
        for (int i = 0; i < actual.Length; i += width) worst = Math.Max(worst, RelativeL2(actual.Slice(i, width), expected.Slice(i, width)));
        return worst;
    }

    /// <summary>L2 norm in double.</summary>
    public static double Norm(ReadOnlySpan<float> values)
    {
        double sum = 0;
        foreach (float value in values) sum += (double)value * value;
        return Math.Sqrt(sum);
    }
}
