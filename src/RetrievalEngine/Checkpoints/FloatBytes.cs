using System;
using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>Float32 to and from the bytes of the float types that files hold. Little endian, as every machine this runs on.</summary>
internal static class FloatBytes
{
    /// <summary>Widens; exact.</summary>
    public static void Widen(ReadOnlySpan<byte> source, DType dtype, Span<float> destination)
    {
        switch (dtype)
        {
            case DType.F32:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case DType.F16:
                TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(source), destination);
                break;
            case DType.BF16:
                ReadOnlySpan<ushort> upper = MemoryMarshal.Cast<byte, ushort>(source);
                int i = 0;
                for (; i <= destination.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
                {
                    Vector.Widen(new Vector<ushort>(upper[i..]), out Vector<uint> low, out Vector<uint> high);
                    Vector.AsVectorSingle(low << 16).CopyTo(destination[i..]);
                    Vector.AsVectorSingle(high << 16).CopyTo(destination[(i + Vector<uint>.Count)..]);
                }

                for (; i < destination.Length; i++) destination[i] = BitConverter.UInt32BitsToSingle((uint)upper[i] << 16);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(dtype));
        }
    }

    /// <summary>Whether no value is infinite or not a number: none has all bits of the exponent set.</summary>
    public static bool AreFinite(ReadOnlySpan<byte> source, DType dtype) => dtype switch
    {
        DType.F32 => LackBits(MemoryMarshal.Cast<byte, uint>(source), 0x7F800000u),
        DType.F16 => LackBits(MemoryMarshal.Cast<byte, ushort>(source), (ushort)0x7C00),
        DType.BF16 => LackBits(MemoryMarshal.Cast<byte, ushort>(source), (ushort)0x7F80),
        _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
    };

    private static bool LackBits<T>(ReadOnlySpan<T> values, T mask)
        where T : unmanaged, IBinaryInteger<T>
    {
        int i = 0;
        Vector<T> masks = new(mask);
        for (; i <= values.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            if (Vector.EqualsAny(new Vector<T>(values[i..]) & masks, masks)) return false;
        }

        for (; i < values.Length; i++)
        {
            if ((values[i] & mask) == mask) return false;
        }

        return true;
    }

    /// <summary>Narrows, round to nearest even; NaN stays NaN, what is too large becomes infinite.</summary>
    public static void Narrow(ReadOnlySpan<float> source, DType dtype, Span<byte> destination)
    {
        switch (dtype)
        {
            case DType.F32:
                MemoryMarshal.AsBytes(source).CopyTo(destination);
                break;
            case DType.F16:
                TensorPrimitives.ConvertToHalf(source, MemoryMarshal.Cast<byte, Half>(destination));
                break;
            case DType.BF16:
                Span<ushort> upper = MemoryMarshal.Cast<byte, ushort>(destination);
                for (int i = 0; i < source.Length; i++) upper[i] = ToBFloat16(source[i]);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(dtype));
        }
    }

    private static ushort ToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        // A NaN whose payload lies in the lower half would round to infinity.
        if (float.IsNaN(value)) return (ushort)((bits >> 16) | 0x40);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }
}
