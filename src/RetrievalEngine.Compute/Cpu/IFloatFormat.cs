using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>How floats lie in memory, for code that is compiled once for each storage type.</summary>
internal unsafe interface IFloatFormat : IElementFormat
{
    /// <summary>16 floats, rounded to nearest even.</summary>
    static abstract void Store(Vector512<float> x, byte* destination);
}

/// <summary>Floats of which one is quickly in all lanes of a vector.</summary>
internal unsafe interface ISpreadFormat : IFloatFormat
{
    /// <summary>One element as a float in all lanes.</summary>
    static abstract Vector512<float> Spread(byte* source);
}

/// <summary>IEEE binary32.</summary>
internal readonly unsafe struct FloatF32 : ISpreadFormat
{
    public static int Size => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* source) => Vector512.Load((float*)source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Spread(byte* source) => Vector512.Create(*(float*)source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadPair(byte* source, out Vector512<float> first, out Vector512<float> second)
    {
        first = Load(source);
        second = Load(source + 16 * Size);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> x, byte* destination) => x.Store((float*)destination);
}

/// <summary>IEEE binary16.</summary>
internal readonly unsafe struct FloatF16 : IFloatFormat
{
    public static int Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* source) => FloatFormats.WidenF16(Vector256.Load((ushort*)source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadPair(byte* source, out Vector512<float> first, out Vector512<float> second)
    {
        // Sign and the 15 bits behind it where float32 has them: the exponent is 112 too small, also of subnormal numbers; infinities and NaN are not told apart.
        Vector512<int> both = Vector512.Load((int*)source), bits = Vector512.Create(unchecked((int)0x8FFFE000));
        first = (Vector512.ShiftRightArithmetic(both << 16, 3) & bits).AsSingle();
        second = (Vector512.ShiftRightArithmetic(both, 3) & bits).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> x, byte* destination) => FloatFormats.NarrowF16(x).Store((ushort*)destination);
}

/// <summary>bfloat16.</summary>
internal readonly unsafe struct FloatBF16 : ISpreadFormat
{
    public static int Size => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* source) => FloatFormats.WidenBF16(Vector256.Load((ushort*)source));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Spread(byte* source) => (Vector512.Create(*(ushort*)source).AsUInt32() << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadPair(byte* source, out Vector512<float> first, out Vector512<float> second)
    {
        if (Avx512BW.IsSupported)
        {
            // Two loads that are part of what takes the elements apart: a loop that waits for memory looks ahead over so many instructions only.
            first = Avx512F.ShiftLeftLogical(Vector512.Load((uint*)source), 16).AsSingle();
            second = Avx512BW.MaskLoad((ushort*)source, Vector512.Create(0xFFFF0000u).AsUInt16(), Vector512<ushort>.Zero).AsSingle();
            return;
        }

        Vector512<uint> both = Vector512.Load((uint*)source);
        first = (both << 16).AsSingle();
        second = (both & Vector512.Create(0xFFFF0000u)).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> x, byte* destination) => FloatFormats.NarrowBF16(x).Store((ushort*)destination);
}
