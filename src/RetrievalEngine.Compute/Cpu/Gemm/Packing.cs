using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// Brings a panel of an <see cref="Operand"/> into the order in which a microkernel reads it, as floats: for each k the rows of the panel side by
/// side. Stores may run over into the place of the next k, which is written after it; behind the last one <see cref="PanelFloats"/> leaves room.
/// </summary>
internal static unsafe class Packing
{
    private const int Block = 16;

    /// <summary>Floats that a panel of <paramref name="width"/> rows takes.</summary>
    public static long PanelFloats(long k, int width) => (k * width + 2 * Block - 1) / Block * Block;

    /// <summary>
    /// Packs rows <paramref name="row"/> … + <paramref name="rows"/> and <paramref name="k"/> steps from <paramref name="firstK"/> on. Of the lanes
    /// from <paramref name="rows"/> up to <paramref name="width"/> nothing is promised.
    /// </summary>
    public static void Pack(in Operand source, long row, int rows, long firstK, long k, int width, float* destination)
    {
        switch (source.DType)
        {
            case DType.F32:
                Pack<FloatF32>(source, row, rows, firstK, k, width, destination);
                break;
            case DType.BF16:
                Pack<FloatBF16>(source, row, rows, firstK, k, width, destination);
                break;
            default:
                Pack<FloatF16>(source, row, rows, firstK, k, width, destination);
                break;
        }
    }

    /// <summary>
    /// Writes <paramref name="k"/> elements from <paramref name="firstK"/> on of binary16 rows that lie row by row as floats, each row <paramref name="stride"/> floats behind the one
    /// before; the last vector of a row may run over.
    /// </summary>
    public static void Widen(in Operand source, long row, int rows, long firstK, long k, float* destination, long stride)
    {
        byte* rest = stackalloc byte[Block * sizeof(ushort)];
        for (int i = 0; i < rows; i++, destination += stride)
        {
            byte* from = source.At(row + i, firstK);
            long p = 0;
            for (; p <= k - Block; p += Block) FloatF16.Load(from + p * FloatF16.Size).Store(destination + p);
            if (p == k) continue;
            Unsafe.CopyBlockUnaligned(rest, from + p * FloatF16.Size, (uint)((k - p) * FloatF16.Size));
            FloatF16.Load(rest).Store(destination + p);
        }
    }

    private static void Pack<TFormat>(in Operand source, long row, int rows, long firstK, long k, int width, float* destination)
        where TFormat : struct, IFloatFormat
    {
        if (source.KMajor) CopyRows<TFormat>(source, row, rows, firstK, k, width, destination);
        else Transpose<TFormat>(source, row, rows, firstK, k, width, destination);
    }

    private static void CopyRows<TFormat>(in Operand source, long row, int rows, long firstK, long k, int width, float* destination)
        where TFormat : struct, IFloatFormat
    {
        long step = source.Stride * TFormat.Size;
        byte* from = source.Data + (firstK * source.Stride + row) * TFormat.Size;
        // A vector may be read where it stays within its line of the matrix.
        int whole = (int)Math.Min(rows, (source.Stride - row) / Block * Block);
        byte* rest = stackalloc byte[Block * sizeof(float)];
        for (long p = 0; p < k; p++)
        {
            int i = 0;
            for (; i < whole; i += Block) TFormat.Load(from + i * TFormat.Size).Store(destination + i);
            if (i < rows)
            {
                Unsafe.CopyBlockUnaligned(rest, from + i * TFormat.Size, (uint)((rows - i) * TFormat.Size));
                TFormat.Load(rest).Store(destination + i);
            }

            from += step;
            destination += width;
        }
    }

    private static void Transpose<TFormat>(in Operand source, long row, int rows, long firstK, long k, int width, float* destination)
        where TFormat : struct, IFloatFormat
    {
        byte** lines = stackalloc byte*[Block];
        byte* copies = stackalloc byte[Block * Block * sizeof(float)];
        float* block = stackalloc float[Block * Block];
        for (int group = 0; group < rows; group += Block)
        {
            int lanes = Math.Min(Block, rows - group);
            for (int i = 0; i < Block; i++) lines[i] = source.Data + ((row + group + Math.Min(i, lanes - 1)) * source.Stride + firstK) * TFormat.Size;
            float* to = destination + group;
            long p = 0;
            for (; p <= k - Block; p += Block) TransposeBlock<TFormat>(lines, p, to + p * width, width);
            if (p == k) continue;
            if (k >= Block)
            {
                TransposeBlock<TFormat>(lines, k - Block, to + (k - Block) * width, width);
                continue;
            }

            for (int i = 0; i < Block; i++)
            {
                Unsafe.CopyBlockUnaligned(copies + i * Block * TFormat.Size, lines[i], (uint)(k * TFormat.Size));
                lines[i] = copies + i * Block * TFormat.Size;
            }

            TransposeBlock<TFormat>(lines, 0, block, Block);
            for (p = 0; p < k; p++) new ReadOnlySpan<float>(block + p * Block, lanes).CopyTo(new Span<float>(to + p * width, lanes));
        }
    }

    /// <summary>16 steps of k of 16 rows, from element <paramref name="at"/> of each line on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeBlock<TFormat>(byte** lines, long at, float* to, long width)
        where TFormat : struct, IFloatFormat
    {
        long offset = at * TFormat.Size;
        if (Avx512F.IsSupported)
        {
            var (a0, a1, a2, a3) = Quad<TFormat>(lines, offset);
            var (b0, b1, b2, b3) = Quad<TFormat>(lines + 4, offset);
            var (c0, c1, c2, c3) = Quad<TFormat>(lines + 8, offset);
            var (d0, d1, d2, d3) = Quad<TFormat>(lines + 12, offset);
            // Lanes of 128 bits: the j-th of (a0, b0, c0, d0) is k = 4 j, of (a1, …) 4 j + 1, …; stored in the order of k.
            Vector512<float> a02 = Even(a0, b0), b02 = Even(c0, d0), a13 = Odd(a0, b0), b13 = Odd(c0, d0);
            Vector512<float> e02 = Even(a1, b1), f02 = Even(c1, d1), e13 = Odd(a1, b1), f13 = Odd(c1, d1);
            Vector512<float> g02 = Even(a2, b2), h02 = Even(c2, d2), g13 = Odd(a2, b2), h13 = Odd(c2, d2);
            Vector512<float> i02 = Even(a3, b3), j02 = Even(c3, d3), i13 = Odd(a3, b3), j13 = Odd(c3, d3);
            Store(to, width, Even(a02, b02), Even(e02, f02), Even(g02, h02), Even(i02, j02));
            Store(to + 4 * width, width, Even(a13, b13), Even(e13, f13), Even(g13, h13), Even(i13, j13));
            Store(to + 8 * width, width, Odd(a02, b02), Odd(e02, f02), Odd(g02, h02), Odd(i02, j02));
            Store(to + 12 * width, width, Odd(a13, b13), Odd(e13, f13), Odd(g13, h13), Odd(i13, j13));
            return;
        }

        for (int lane = 0; lane < Block; lane++)
        {
            Vector512<float> line = TFormat.Load(lines[lane] + offset);
            float* values = (float*)&line;
            if (lane < width)
            {
                for (int p = 0; p < Block; p++) to[p * width + lane] = values[p];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> K0, Vector512<float> K1, Vector512<float> K2, Vector512<float> K3) Quad<TFormat>(byte** lines, long offset)
        where TFormat : struct, IFloatFormat
    {
        Vector512<float> r0 = TFormat.Load(lines[0] + offset), r1 = TFormat.Load(lines[1] + offset);
        Vector512<float> r2 = TFormat.Load(lines[2] + offset), r3 = TFormat.Load(lines[3] + offset);
        Vector512<double> low01 = Avx512F.UnpackLow(r0, r1).AsDouble(), low23 = Avx512F.UnpackLow(r2, r3).AsDouble();
        Vector512<double> high01 = Avx512F.UnpackHigh(r0, r1).AsDouble(), high23 = Avx512F.UnpackHigh(r2, r3).AsDouble();
        return (Avx512F.UnpackLow(low01, low23).AsSingle(), Avx512F.UnpackHigh(low01, low23).AsSingle(),
            Avx512F.UnpackLow(high01, high23).AsSingle(), Avx512F.UnpackHigh(high01, high23).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Even(Vector512<float> a, Vector512<float> b) => Avx512F.Shuffle4x128(a, b, 0x88);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Odd(Vector512<float> a, Vector512<float> b) => Avx512F.Shuffle4x128(a, b, 0xDD);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* to, long width, Vector512<float> k0, Vector512<float> k1, Vector512<float> k2, Vector512<float> k3)
    {
        k0.Store(to);
        k1.Store(to + width);
        k2.Store(to + 2 * width);
        k3.Store(to + 3 * width);
    }
}
