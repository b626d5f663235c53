using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>bfloat16 and binary16 to and from binary32, 16 at a time, in integer arithmetic that every machine has.</summary>
internal static unsafe class FloatFormats
{
    /// <summary>16 bfloat16 as floats, exact.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> WidenBF16(Vector256<ushort> x) => (Wide(x) << 16).AsSingle();

    /// <summary>16 binary16 as floats, exact; subnormals, infinities and NaN too.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> WidenF16(Vector256<ushort> x)
    {
        Vector256<short> signed = x.AsInt16();
        Vector512<int> wide = Avx512F.IsSupported
            ? Avx512F.ConvertToVector512Int32(signed)
            : Vector512.Create(Vector256.WidenLower(signed), Vector256.WidenUpper(signed));
        // The copies of the sign leave room for the wider exponent, which is 112 too small: multiplied in, so that subnormals become normal.
        Vector512<float> scaled = ((wide << 13) & Vector512.Create(unchecked((int)0x8FFFE000))).AsSingle() * Vector512.Create(5.192296858534828e33f);
        // Infinities and NaN came out as 65536 and more.
        Vector512<float> special = Vector512.GreaterThanOrEqual(Vector512.Abs(scaled), Vector512.Create(65536f));
        return scaled | (special & Vector512.Create(float.PositiveInfinity));
    }

    /// <summary>Rounds to bfloat16, nearest even; NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ushort> NarrowBF16(Vector512<float> x)
    {
        Vector512<uint> bits = x.AsUInt32();
        Vector512<uint> rounded = (bits + Vector512.Create(0x7FFFu) + ((bits >> 16) & Vector512<uint>.One)) >> 16;
        return Narrow(Vector512.ConditionalSelect(Vector512.Equals(x, x).AsUInt32(), rounded, (bits >> 16) | Vector512.Create(0x40u)));
    }

    /// <summary>Rounds to binary16, nearest even; too large becomes infinite, NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<ushort> NarrowF16(Vector512<float> x)
    {
        Vector512<uint> bits = x.AsUInt32(), magnitude = bits & Vector512.Create(0x7FFFFFFFu), infinite = Vector512.Create(0x7C00u);
        Vector512<uint> normal = (magnitude - Vector512.Create(0x37FFF001u) + ((magnitude >> 13) & Vector512<uint>.One)) >> 13;
        // Below 2⁻¹⁴: adding 1/2 makes the adder round to multiples of 2⁻²⁴.
        Vector512<uint> subnormal = (magnitude.AsSingle() + Vector512.Create(0.5f)).AsUInt32() - Vector512.Create(0x3F000000u);
        Vector512<uint> result = Vector512.ConditionalSelect(Vector512.LessThan(magnitude, Vector512.Create(0x38800000u)), subnormal, normal);
        result = Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(magnitude, Vector512.Create(0x47800000u)), infinite, result);
        Vector512<uint> nan = infinite | Vector512.Create(0x200u) | ((magnitude >> 13) & Vector512.Create(0x3FFu));
        result = Vector512.ConditionalSelect(Vector512.Equals(x, x).AsUInt32(), result, nan);
        return Narrow(result | ((bits >> 16) & Vector512.Create(0x8000u)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Wide(Vector256<ushort> x) =>
        Avx512F.IsSupported ? Avx512F.ConvertToVector512UInt32(x) : Vector512.Create(Vector256.WidenLower(x), Vector256.WidenUpper(x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ushort> Narrow(Vector512<uint> x) =>
        Avx512F.IsSupported ? Avx512F.ConvertToVector256UInt16(x) : Vector256.Narrow(x.GetLower(), x.GetUpper());
}
