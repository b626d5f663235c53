using System;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;

namespace RetrievalEngine.TestKit;

/// <summary>Doubles to and from the bytes of a float type.</summary>
public static class Storage
{
    /// <summary>The nearest value, ties to even, that <paramref name="dtype"/> holds.</summary>
    public static double Round(double value, DType dtype) => dtype switch
    {
        DType.F32 => (float)value,
        DType.F16 => (double)(Half)(float)value,
        DType.BF16 => BitConverter.UInt32BitsToSingle((uint)BFloat16((float)value) << 16),
        _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
    };

    /// <summary>
    /// What rounding to <paramref name="dtype"/> may add to a relative error; nothing for F32, whose rounding the tolerances contain.
    /// </summary>
    public static double Epsilon(DType dtype) => dtype switch { DType.F16 => 1.0 / 2048, DType.BF16 => 1.0 / 256, _ => 0 };

    /// <summary>Values as bytes, rounded.</summary>
    public static byte[] Pack(ReadOnlySpan<double> values, DType dtype)
    {
        byte[] bytes = new byte[values.Length * dtype.Size()];
        for (int i = 0; i < values.Length; i++)
        {
            if (dtype == DType.F32) MemoryMarshal.Cast<byte, float>(bytes.AsSpan())[i] = (float)values[i];
            else if (dtype == DType.F16) MemoryMarshal.Cast<byte, Half>(bytes.AsSpan())[i] = (Half)(float)values[i];
            else MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan())[i] = BFloat16((float)values[i]);
        }

        return bytes;
    }

    /// <summary>Bytes as values.</summary>
    public static double[] Unpack(ReadOnlySpan<byte> bytes, DType dtype)
    {
        double[] values = new double[bytes.Length / dtype.Size()];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = dtype switch
            {
                DType.F32 => MemoryMarshal.Cast<byte, float>(bytes)[i],
                DType.F16 => (double)MemoryMarshal.Cast<byte, Half>(bytes)[i],
                DType.BF16 => BitConverter.UInt32BitsToSingle((uint)MemoryMarshal.Cast<byte, ushort>(bytes)[i] << 16),
                DType.I8 => (sbyte)bytes[i],
                _ => throw new ArgumentOutOfRangeException(nameof(dtype)),
            };
        }

        return values;
    }

    // Bit by bit as the definition says: cut off the lower half, go up where it is more than a half or exactly one and the rest is odd.
    private static ushort BFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value), kept = bits >> 16, cut = bits & 0xFFFF;
        if (float.IsNaN(value)) return (ushort)(kept | 0x40);
        if (cut > 0x8000 || (cut == 0x8000 && (kept & 1) == 1)) kept++;
        return (ushort)kept;
    }
}
