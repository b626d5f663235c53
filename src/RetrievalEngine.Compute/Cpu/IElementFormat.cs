using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>How numbers lie in memory, for code that is compiled once for each storage type.</summary>
internal unsafe interface IElementFormat
{
    /// <summary>Bytes of one element.</summary>
    static abstract int Size { get; }

    /// <summary>16 elements as floats.</summary>
    static abstract Vector512<float> Load(byte* source);

    /// <summary>
    /// 32 elements as floats: the first and the second 16, but of 16-bit elements the even and the odd ones, which are quicker to take apart. binary16 comes
    /// times 2⁻¹¹² and must be finite.
    /// </summary>
    static abstract void LoadPair(byte* source, out Vector512<float> first, out Vector512<float> second);
}

/// <summary>Signed bytes.</summary>
internal readonly unsafe struct FormatI8 : IElementFormat
{
    public static int Size => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(byte* source)
    {
        Vector128<sbyte> bytes = Vector128.Load((sbyte*)source);
        if (Avx512F.IsSupported) return Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(bytes));
        Vector256<short> wide = Vector256.Create(Vector128.WidenLower(bytes), Vector128.WidenUpper(bytes));
        return Vector512.ConvertToSingle(Vector512.Create(Vector256.WidenLower(wide), Vector256.WidenUpper(wide)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LoadPair(byte* source, out Vector512<float> first, out Vector512<float> second)
    {
        first = Load(source);
        second = Load(source + 16 * Size);
    }
}
