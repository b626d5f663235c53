using System;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Search;

/// <summary>Packed signs (<see cref="VectorStorage.Binary"/>) as numbers.</summary>
internal static class SignBits
{
    private const int Lanes = 16;

    /// <summary>The first <paramref name="count"/> bits as 1 where set, else -1.</summary>
    public static void Widen(ReadOnlySpan<byte> bits, int count, Span<sbyte> signs)
    {
        Vector128<byte> ofByte = Vector128.Create((byte)0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
        Vector128<byte> ofBit = Vector128.Create((byte)1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128);
        int i = 0;
        for (; i <= count - Lanes; i += Lanes)
        {
            ushort both = MemoryMarshal.Read<ushort>(bits[(i >> 3)..]);
            Vector128<byte> spread = Vector128.Shuffle(Vector128.Create(both).AsByte(), ofByte) & ofBit;
            // Where the bit is not set all ones, which are -1; else 1.
            (Vector128.Equals(spread, Vector128<byte>.Zero) | Vector128<byte>.One).AsSByte().CopyTo(signs[i..]);
        }

        for (; i < count; i++) signs[i] = (sbyte)((bits[i >> 3] >> (i & 7) & 1) != 0 ? 1 : -1);
    }
}
