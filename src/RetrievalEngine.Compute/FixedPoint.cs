using System;
using System.Runtime.Intrinsics;
using RetrievalEngine.Compute.Cpu.Scan;

namespace RetrievalEngine.Compute;

/// <summary>
/// Vectors whose elements are whole multiples n · 2⁻ᵗ of a power of two, with |n| ≤ 32767 and Σ |n| below 2²⁴: their products with signed bytes, -128 too,
/// add up to what 32 bits hold, so that a scan adds them up in integers, exactly and in any order.
/// </summary>
public static class FixedPoint
{
    private const int Bits = 15, Lanes = 16;
    private const float Largest = (1 << Bits) - 1;
    private const double LargestSum = (1 << 24) - 1;

    /// <summary>Whether a CPU scans them quicker than other queries on this machine.</summary>
    public static bool IsQuick => CodeScan.IsSupported;

    /// <summary>Rounds finite numbers to the nearest such vector. False, and nothing changed, where they are too large or too small for it.</summary>
    public static bool TryRound(Span<float> vector)
    {
        // Rounding may add half a unit to each.
        if (!TryFit(vector, LargestSum - vector.Length, out float unit)) return false;
        Vector512<float> largest = Vector512.Create(Largest);
        int i = 0;
        for (; i <= vector.Length - Lanes; i += Lanes)
        {
            Vector512<float> multiple = Vector512.Round(Vector512.Create<float>(vector.Slice(i, Lanes)) / unit);
            (Vector512.Min(Vector512.Max(multiple, -largest), largest) * unit).CopyTo(vector[i..]);
        }

        for (; i < vector.Length; i++) vector[i] = Math.Clamp(MathF.Round(vector[i] / unit), -Largest, Largest) * unit;
        return true;
    }

    /// <summary>Whether a vector is such a one, and the unit 2⁻ᵗ.</summary>
    public static bool Is(ReadOnlySpan<float> vector, out float unit)
    {
        if (!TryFit(vector, LargestSum, out unit)) return false;
        // Products with a power of two are exact, unless they vanish.
        float scale = 1 / unit;
        int i = 0;
        for (; i <= vector.Length - Lanes; i += Lanes)
        {
            Vector512<float> multiple = Vector512.Create(vector.Slice(i, Lanes)) * scale;
            if (!Vector512.EqualsAll(multiple, Vector512.Truncate(multiple))) return false;
        }

        for (; i < vector.Length; i++)
        {
            if (vector[i] * scale != MathF.Truncate(vector[i] * scale)) return false;
        }

        return true;
    }

    /// <summary>The smallest unit, a normal power of two, in which no element and no sum is too large.</summary>
    private static bool TryFit(ReadOnlySpan<float> vector, double largestSum, out float unit)
    {
        float most = 0;
        double sum = 0;
        int i = 0;
        Vector512<float> mosts = default;
        Vector512<double> sums = default;
        for (; i <= vector.Length - Lanes; i += Lanes)
        {
            Vector512<float> sizes = Vector512.Abs(Vector512.Create(vector.Slice(i, Lanes)));
            mosts = Vector512.Max(mosts, sizes);
            (Vector512<double> lower, Vector512<double> upper) = Vector512.Widen(sizes);
            sums += lower + upper;
        }

        for (int lane = 0; lane < Lanes; lane++) most = Math.Max(most, mosts[lane]);
        sum = Vector512.Sum(sums);
        for (; i < vector.Length; i++)
        {
            most = Math.Max(most, Math.Abs(vector[i]));
            sum += Math.Abs(vector[i]);
        }

        unit = 0;
        if (!float.IsFinite(most) || largestSum < 0) return false;
        int exponent = most == 0 ? 0 : Math.ILogB(most) + 1 - Bits;
        while (Math.ScaleB(sum, -exponent) > largestSum) exponent++;
        unit = (float)Math.ScaleB(1, exponent);
        return exponent is >= -100 and <= 100;
    }
}
