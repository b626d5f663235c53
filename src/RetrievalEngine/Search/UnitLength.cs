using System;

namespace RetrievalEngine.Search;

/// <summary>Lengths of vectors, summed in double, where no square of a float overflows or vanishes.</summary>
internal static class UnitLength
{
    /// <summary>Scales a vector to length 1; a zero vector stays zero, whose similarity with everything is 0.</summary>
    public static void Scale(Span<float> vector)
    {
        double length = Math.Sqrt(SquaredNorm(vector));
        if (length == 0) return;
        for (int i = 0; i < vector.Length; i++) vector[i] = (float)(vector[i] / length);
    }

    /// <summary>Scales each of [n, <paramref name="dimensions"/>].</summary>
    public static void Scale(Span<float> vectors, int dimensions)
    {
        for (int first = 0; first < vectors.Length; first += dimensions) Scale(vectors.Slice(first, dimensions));
    }

    /// <summary>Σ x².</summary>
    public static double SquaredNorm(ReadOnlySpan<float> vector)
    {
        double sum = 0;
        foreach (float x in vector) sum += (double)x * x;
        return sum;
    }
}
