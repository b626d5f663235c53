using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>One of <see cref="Activation"/>, for code that is compiled once for each.</summary>
internal interface IActivation
{
    /// <summary>f(x).</summary>
    static abstract Vector512<float> Value(Vector512<float> x);

    /// <summary>f(x) and f'(x).</summary>
    static abstract (Vector512<float> Value, Vector512<float> Slope) ValueAndSlope(Vector512<float> x);
}

/// <summary><see cref="Activation.None"/>.</summary>
internal readonly struct Identity : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> x) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Value, Vector512<float> Slope) ValueAndSlope(Vector512<float> x) => (x, Vector512<float>.One);
}

/// <summary><see cref="Activation.Silu"/>.</summary>
internal readonly struct Silu : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> x) => x / (Vector512<float>.One + VectorMath.Exp(-x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Value, Vector512<float> Slope) ValueAndSlope(Vector512<float> x)
    {
        Vector512<float> sigmoid = VectorMath.Sigmoid(x, out Vector512<float> complement), value = x * sigmoid;
        return (value, Vector512.MultiplyAddEstimate(value, complement, sigmoid));
    }
}

/// <summary><see cref="Activation.GeluErf"/>: f' = Φ + x φ.</summary>
internal readonly struct GeluErf : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> x) => x * VectorMath.NormalCdf(x, out _);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Value, Vector512<float> Slope) ValueAndSlope(Vector512<float> x)
    {
        Vector512<float> cdf = VectorMath.NormalCdf(x, out Vector512<float> gauss);
        return (x * cdf, Vector512.MultiplyAddEstimate(x * gauss, Vector512.Create(0.3989422804f), cdf));
    }
}

/// <summary><see cref="Activation.GeluTanh"/>, which is x · σ(2u) with u = √(2/π) (x + 0.044715 x³), since (1 + tanh u) / 2 = σ(2u).</summary>
internal readonly struct GeluTanh : IActivation
{
    private const float Linear = 1.5957691216f, Cubic = 0.0713548162726f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> x) => x / (Vector512<float>.One + VectorMath.Exp(-Twice(x, x * x)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Value, Vector512<float> Slope) ValueAndSlope(Vector512<float> x)
    {
        Vector512<float> square = x * x, sigmoid = VectorMath.Sigmoid(Twice(x, square), out Vector512<float> complement), value = x * sigmoid;
        Vector512<float> slope = Vector512.MultiplyAddEstimate(square, Vector512.Create(3 * Cubic), Vector512.Create(Linear));
        return (value, Vector512.MultiplyAddEstimate(value * complement, slope, sigmoid));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Twice(Vector512<float> x, Vector512<float> square) =>
        x * Vector512.MultiplyAddEstimate(square, Vector512.Create(Cubic), Vector512.Create(Linear));
}

/// <summary><see cref="Activation.Relu"/>; the slope at 0 is 0.</summary>
internal readonly struct Relu : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> x) => Vector512.Max(x, Vector512<float>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Value, Vector512<float> Slope) ValueAndSlope(Vector512<float> x) =>
        (Value(x), Vector512.GreaterThan(x, Vector512<float>.Zero) & Vector512<float>.One);
}

/// <summary><see cref="Activation.Tanh"/>: f' = 1 - f².</summary>
internal readonly struct Tanh : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Value(Vector512<float> x) => VectorMath.Tanh(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> Value, Vector512<float> Slope) ValueAndSlope(Vector512<float> x)
    {
        // 1 - f² = 4 σ(2x) σ(-2x), with all its digits where f is near 1.
        Vector512<float> sigmoid = VectorMath.Sigmoid(x + x, out Vector512<float> complement);
        return (VectorMath.Tanh(x), Vector512.Create(4f) * sigmoid * complement);
    }
}
