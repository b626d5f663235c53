using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>
/// Functions of 16 floats at a time. Written once over <see cref="Vector512{T}"/>: where the machine has no such registers, the compiler makes two or
/// four smaller ones of it. Constants are split so that nothing leans on a fused multiply-add being there.
/// </summary>
internal static unsafe class VectorMath
{
    /// <summary>Floats in a vector.</summary>
    public const int Width = 16;

    /// <summary>eˣ, relative error below 2e-7; 0 below -104, ∞ above 88.73, NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        // The operand order of Native min and max lets NaN through.
        x = Vector512.MinNative(Vector512.Create(88.8f), Vector512.MaxNative(Vector512.Create(-104.5f), x));
        Vector512<float> n = Vector512.Round(x * 1.44269504f);
        // ln 2 in two parts, the first of 10 bits: n · 0.693359375 is exact.
        Vector512<float> r = Vector512.MultiplyAddEstimate(n, Vector512.Create(-0.693359375f), x);
        r = Vector512.MultiplyAddEstimate(n, Vector512.Create(2.12194440e-4f), r);
        // Cephes, expf.
        Vector512<float> p = Vector512.MultiplyAddEstimate(r, Vector512.Create(1.9875691500e-4f), Vector512.Create(1.3981999507e-3f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(8.3334519073e-3f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(4.1665795894e-2f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(1.6666665459e-1f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(5.0000001201e-1f));
        p = Vector512.MultiplyAddEstimate(p, r * r, r) + Vector512<float>.One;
        if (Avx512F.IsSupported) return Avx512F.Scale(p, n);

        // 2ⁿ in two factors: n reaches -151 and 128, beyond the exponents of one.
        Vector512<int> exponent = Vector512.ConvertToInt32Native(n), half = exponent >> 1, bias = Vector512.Create(127);
        return p * ((half + bias) << 23).AsSingle() * ((exponent - half + bias) << 23).AsSingle();
    }

    /// <summary>
    /// 2ˣ for x up to 127, relative error below 2e-7; 0 below -126.5, NaN stays NaN. Cheaper than <see cref="Exp"/> where the factor log₂ e goes into
    /// something that is scaled anyway.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp2(Vector512<float> x)
    {
        x = Vector512.MaxNative(Vector512.Create(-127f), x);
        Vector512<float> n = Vector512.Round(x), r = x - n;
        // Cephes, exp2f.
        Vector512<float> p = Vector512.MultiplyAddEstimate(r, Vector512.Create(1.535336188319500e-4f), Vector512.Create(1.339887440266574e-3f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(9.618437357674640e-3f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(5.550332471162809e-2f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(2.402264791363012e-1f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512.Create(6.931472028550421e-1f));
        p = Vector512.MultiplyAddEstimate(p, r, Vector512<float>.One);
        // n = -127 gives the exponent bits of 0.
        return p * ((Vector512.ConvertToInt32Native(n) + Vector512.Create(127)) << 23).AsSingle();
    }

    /// <summary>tanh x, relative error below 4e-7.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Tanh(Vector512<float> x)
    {
        Vector512<float> sign = Vector512.Create(-0f), magnitude = Vector512.AndNot(x, sign), z = x * x;
        Vector512<float> large = Vector512<float>.One - Vector512.Create(2f) / (Exp(magnitude + magnitude) + Vector512<float>.One);
        // Cephes, tanhf: below 0.625 the quotient would cancel.
        Vector512<float> p = Vector512.MultiplyAddEstimate(z, Vector512.Create(-5.70498872745e-3f), Vector512.Create(2.06390887954e-2f));
        p = Vector512.MultiplyAddEstimate(p, z, Vector512.Create(-5.37397155531e-2f));
        p = Vector512.MultiplyAddEstimate(p, z, Vector512.Create(1.33314422036e-1f));
        p = Vector512.MultiplyAddEstimate(p, z, Vector512.Create(-3.33332819422e-1f));
        Vector512<float> small = Vector512.MultiplyAddEstimate(p * z, x, x);
        return Vector512.ConditionalSelect(Vector512.LessThan(magnitude, Vector512.Create(0.625f)), small, large | (x & sign));
    }

    /// <summary>
    /// σ(x) = 1 / (1 + e⁻ˣ), and 1 - σ(x) in <paramref name="complement"/> without the cancellation. Below -80 both are those of -80.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Sigmoid(Vector512<float> x, out Vector512<float> complement)
    {
        Vector512<float> e = Exp(-Vector512.MaxNative(Vector512.Create(-80f), x)), sigmoid = Vector512<float>.One / (Vector512<float>.One + e);
        complement = e * sigmoid;
        return sigmoid;
    }

    /// <summary>
    /// Φ(x) = (1 + erf(x/√2)) / 2, absolute error below 1.2e-7, and <paramref name="gauss"/> = e^(-x²/2). Φ(-t) e^(t²/2) is smooth in (t - 3)/(t +
    /// 3): a polynomial of degree 9 through Chebyshev nodes for t up to 14, relative error 2e-8 up to 10, where Φ(-t) is below 1e-23.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> NormalCdf(Vector512<float> x, out Vector512<float> gauss)
    {
        Vector512<float> t = Vector512.MinNative(Vector512.Create(14f), Vector512.AndNot(x, Vector512.Create(-0f))), three = Vector512.Create(3f);
        gauss = Exp(t * t * -0.5f);
        Vector512<float> s = (t - three) / (t + three);
        Vector512<float> p = Vector512.MultiplyAddEstimate(s, Vector512.Create(5.283889767e-5f), Vector512.Create(1.141403168e-4f));
        p = Vector512.MultiplyAddEstimate(p, s, Vector512.Create(-3.391506990e-4f));
        p = Vector512.MultiplyAddEstimate(p, s, Vector512.Create(-9.824500649e-4f));
        p = Vector512.MultiplyAddEstimate(p, s, Vector512.Create(2.904636448e-3f));
        p = Vector512.MultiplyAddEstimate(p, s, Vector512.Create(6.131670963e-3f));
        p = Vector512.MultiplyAddEstimate(p, s, Vector512.Create(-4.621332545e-2f));
        p = Vector512.MultiplyAddEstimate(p, s, Vector512.Create(1.2322507168e-1f));
        p = Vector512.MultiplyAddEstimate(p, s, Vector512.Create(-2.0640261735e-1f));
        p = Vector512.MultiplyAddEstimate(p, s, Vector512.Create(1.2151394695e-1f));
        Vector512<float> tail = p * gauss;
        return Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512<float>.Zero), tail, Vector512<float>.One - tail);
    }

    /// <summary>16 floats, or the <paramref name="count"/> that are left, the others 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source, int count) => count == Width ? Vector512.Load(source) : LoadPartial(source, count);

    /// <summary>Stores 16 floats, or the <paramref name="count"/> that are left.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> vector, float* destination, int count)
    {
        if (count == Width) vector.Store(destination);
        else StorePartial(vector, destination, count);
    }

    /// <summary>The first <paramref name="count"/> of 16 floats, the others <paramref name="fill"/>; not one byte beyond them is read.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadPartial(float* source, int count, float fill = 0)
    {
        if (!Avx.IsSupported) return LoadOneByOne(source, count, fill);
        Vector512<float> mask = FirstLanes(count);
        if (Avx512F.IsSupported) return Avx512F.MaskLoad(source, mask, Vector512.Create(fill));
        Vector512<float> loaded = Vector512.Create(Avx.MaskLoad(source, mask.GetLower()), Avx.MaskLoad(source + Width / 2, mask.GetUpper()));
        return Vector512.ConditionalSelect(mask, loaded, Vector512.Create(fill));
    }

    /// <summary>Stores the first <paramref name="count"/> of 16 floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StorePartial(Vector512<float> vector, float* destination, int count)
    {
        if (!Avx.IsSupported)
        {
            StoreOneByOne(vector, destination, count);
            return;
        }

        Vector512<float> mask = FirstLanes(count);
        if (Avx512F.IsSupported)
        {
            Avx512F.MaskStore(destination, mask, vector);
            return;
        }

        Avx.MaskStore(destination, mask.GetLower(), vector.GetLower());
        Avx.MaskStore(destination + Width / 2, mask.GetUpper(), vector.GetUpper());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> FirstLanes(int count) => Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle();

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Vector512<float> LoadOneByOne(float* source, int count, float fill)
    {
        float* buffer = stackalloc float[Width];
        for (int i = 0; i < Width; i++) buffer[i] = i < count ? source[i] : fill;
        return Vector512.Load(buffer);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StoreOneByOne(Vector512<float> vector, float* destination, int count)
    {
        float* buffer = stackalloc float[Width];
        vector.Store(buffer);
        for (int i = 0; i < count; i++) destination[i] = buffer[i];
    }

    /// <summary>Σ a.</summary>
    public static float Sum(float* a, long n) => SumOf(new First(), a, a, n);

    /// <summary>Σ a · b.</summary>
    public static float Dot(float* a, float* b, long n) => SumOf(new Product(), a, b, n);

    /// <summary>Largest of <paramref name="n"/> floats; NaN where there is one, -∞ for none.</summary>
    public static float Max(float* a, long n)
    {
        Vector512<float> max = Vector512.Create(float.NegativeInfinity);
        long i = 0;
        for (; i <= n - Width; i += Width) max = Vector512.Max(max, Vector512.Load(a + i));
        if (i < n) max = Vector512.Max(max, LoadPartial(a + i, (int)(n - i), float.NegativeInfinity));
        float result = float.NegativeInfinity;
        for (int lane = 0; lane < Width; lane++) result = MathF.Max(result, max[lane]);
        return result;
    }

    /// <summary>Σ (a - center)².</summary>
    public static float SumOfSquaresAround(float* a, float center, long n) => SumOf(new SquareAround(center), a, a, n, center);

    /// <summary>Σ f(a, b), four sums of 16 lanes each, always added up in the same order. f(fill, fill) must be 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float SumOf<TMap>(TMap map, float* a, float* b, long n, float fill = 0)
        where TMap : struct, IMap2
    {
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        long i = 0;
        for (; i <= n - 4 * Width; i += 4 * Width)
        {
            s0 += map.Apply(Vector512.Load(a + i), Vector512.Load(b + i));
            s1 += map.Apply(Vector512.Load(a + i + Width), Vector512.Load(b + i + Width));
            s2 += map.Apply(Vector512.Load(a + i + 2 * Width), Vector512.Load(b + i + 2 * Width));
            s3 += map.Apply(Vector512.Load(a + i + 3 * Width), Vector512.Load(b + i + 3 * Width));
        }

        for (; i <= n - Width; i += Width) s0 += map.Apply(Vector512.Load(a + i), Vector512.Load(b + i));
        if (i < n) s1 += map.Apply(LoadPartial(a + i, (int)(n - i), fill), LoadPartial(b + i, (int)(n - i), fill));
        return Vector512.Sum(s0 + s1 + (s2 + s3));
    }

    private readonly struct First : IMap2
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> a, Vector512<float> b) => a;
    }

    private readonly struct Product : IMap2
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> a, Vector512<float> b) => a * b;
    }

    private readonly struct SquareAround(float center) : IMap2
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> a, Vector512<float> b) => (a - Vector512.Create(center)) * (a - Vector512.Create(center));
    }
}
