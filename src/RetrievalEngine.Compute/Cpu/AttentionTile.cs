using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>The matrix product inside attention: 8 rows by panels of 16 columns, held in registers over the whole depth.</summary>
internal static unsafe class AttentionTile
{
    /// <summary>Rows of a tile.</summary>
    public const int Rows = 8;

    /// <summary>Columns of a panel.</summary>
    public const int Columns = 16;

    /// <summary>
    /// c[r, 16p + x] = Σ a[r, k] · b[p, k, x] for 8 rows r, added to c when <paramref name="accumulate"/>. Element a[r, k] stands at r ·
    /// <paramref name="aRow"/> + k · <paramref name="aDepth"/>; of a's rows only <paramref name="rows"/> exist, the others repeat the last one. b is
    /// [panels] of <paramref name="bPanel"/> floats, each [depth][16]. Rows of c are <paramref name="cRow"/> apart. Each element is one chain of
    /// multiply-adds with k rising: how the depth is cut into calls does not change a bit.
    /// </summary>
    public static void Multiply(
        float* a, nint aRow, nint aDepth, int rows, float* b, nint bPanel, int panels, nint depth, float* c, nint cRow, bool accumulate)
    {
        int p = 0;
        for (; p + 1 < panels; p += 2)
            TwoPanels(a, aRow, aDepth, rows, b + p * bPanel, b + (p + 1) * bPanel, depth, c + p * Columns, cRow, accumulate);
        if (p < panels) OnePanel(a, aRow, aDepth, rows, b + p * bPanel, depth, c + p * Columns, cRow, accumulate);
    }

    private static void TwoPanels(float* a, nint aRow, nint aDepth, int rows, float* b0, float* b1, nint depth, float* c, nint cRow, bool accumulate)
    {
        byte* a0 = (byte*)a, a1 = Row(a, 1, aRow, rows), a2 = Row(a, 2, aRow, rows), a3 = Row(a, 3, aRow, rows);
        byte* a4 = Row(a, 4, aRow, rows), a5 = Row(a, 5, aRow, rows), a6 = Row(a, 6, aRow, rows), a7 = Row(a, 7, aRow, rows);
        Vector512<float> c00 = default, c10 = default, c20 = default, c30 = default, c40 = default, c50 = default, c60 = default, c70 = default;
        Vector512<float> c01 = default, c11 = default, c21 = default, c31 = default, c41 = default, c51 = default, c61 = default, c71 = default;
        if (accumulate)
        {
            (c00, c01) = (Vector512.Load(c), Vector512.Load(c + Columns));
            (c10, c11) = (Vector512.Load(c + cRow), Vector512.Load(c + cRow + Columns));
            (c20, c21) = (Vector512.Load(c + 2 * cRow), Vector512.Load(c + 2 * cRow + Columns));
            (c30, c31) = (Vector512.Load(c + 3 * cRow), Vector512.Load(c + 3 * cRow + Columns));
            (c40, c41) = (Vector512.Load(c + 4 * cRow), Vector512.Load(c + 4 * cRow + Columns));
            (c50, c51) = (Vector512.Load(c + 5 * cRow), Vector512.Load(c + 5 * cRow + Columns));
            (c60, c61) = (Vector512.Load(c + 6 * cRow), Vector512.Load(c + 6 * cRow + Columns));
            (c70, c71) = (Vector512.Load(c + 7 * cRow), Vector512.Load(c + 7 * cRow + Columns));
        }

        nint offset = 0, step = aDepth * sizeof(float);
        for (; depth > 0; depth--)
        {
            Vector512<float> x = Vector512.Load(b0), y = Vector512.Load(b1), v = Broadcast(a0, offset);
            (c00, c01) = (Fma(v, x, c00), Fma(v, y, c01));
            v = Broadcast(a1, offset);
            (c10, c11) = (Fma(v, x, c10), Fma(v, y, c11));
            v = Broadcast(a2, offset);
            (c20, c21) = (Fma(v, x, c20), Fma(v, y, c21));
            v = Broadcast(a3, offset);
            (c30, c31) = (Fma(v, x, c30), Fma(v, y, c31));
            v = Broadcast(a4, offset);
            (c40, c41) = (Fma(v, x, c40), Fma(v, y, c41));
            v = Broadcast(a5, offset);
            (c50, c51) = (Fma(v, x, c50), Fma(v, y, c51));
            v = Broadcast(a6, offset);
            (c60, c61) = (Fma(v, x, c60), Fma(v, y, c61));
            v = Broadcast(a7, offset);
            (c70, c71) = (Fma(v, x, c70), Fma(v, y, c71));
            b0 += Columns;
            b1 += Columns;
            offset += step;
        }

        Store(c, c00, c01);
        Store(c + cRow, c10, c11);
        Store(c + 2 * cRow, c20, c21);
        Store(c + 3 * cRow, c30, c31);
        Store(c + 4 * cRow, c40, c41);
        Store(c + 5 * cRow, c50, c51);
        Store(c + 6 * cRow, c60, c61);
        Store(c + 7 * cRow, c70, c71);
    }

    private static void OnePanel(float* a, nint aRow, nint aDepth, int rows, float* b, nint depth, float* c, nint cRow, bool accumulate)
    {
        byte* a0 = (byte*)a, a1 = Row(a, 1, aRow, rows), a2 = Row(a, 2, aRow, rows), a3 = Row(a, 3, aRow, rows);
        byte* a4 = Row(a, 4, aRow, rows), a5 = Row(a, 5, aRow, rows), a6 = Row(a, 6, aRow, rows), a7 = Row(a, 7, aRow, rows);
        Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default, c4 = default, c5 = default, c6 = default, c7 = default;
        if (accumulate)
        {
            (c0, c1, c2, c3) = (Vector512.Load(c), Vector512.Load(c + cRow), Vector512.Load(c + 2 * cRow), Vector512.Load(c + 3 * cRow));
            c4 = Vector512.Load(c + 4 * cRow);
            (c5, c6, c7) = (Vector512.Load(c + 5 * cRow), Vector512.Load(c + 6 * cRow), Vector512.Load(c + 7 * cRow));
        }

        nint offset = 0, step = aDepth * sizeof(float);
        for (; depth > 0; depth--)
        {
            Vector512<float> x = Vector512.Load(b);
            c0 = Fma(Broadcast(a0, offset), x, c0);
            c1 = Fma(Broadcast(a1, offset), x, c1);
            c2 = Fma(Broadcast(a2, offset), x, c2);
            c3 = Fma(Broadcast(a3, offset), x, c3);
            c4 = Fma(Broadcast(a4, offset), x, c4);
            c5 = Fma(Broadcast(a5, offset), x, c5);
            c6 = Fma(Broadcast(a6, offset), x, c6);
            c7 = Fma(Broadcast(a7, offset), x, c7);
            b += Columns;
            offset += step;
        }

        c0.Store(c);
        c1.Store(c + cRow);
        c2.Store(c + 2 * cRow);
        c3.Store(c + 3 * cRow);
        c4.Store(c + 4 * cRow);
        c5.Store(c + 5 * cRow);
        c6.Store(c + 6 * cRow);
        c7.Store(c + 7 * cRow);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* Row(float* a, int r, nint aRow, int rows) => (byte*)(a + Math.Min(r, rows - 1) * aRow);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Broadcast(byte* row, nint offset) => Vector512.Create(*(float*)(row + offset));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Fma(Vector512<float> x, Vector512<float> y, Vector512<float> sum) => Vector512.MultiplyAddEstimate(x, y, sum);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* c, Vector512<float> left, Vector512<float> right)
    {
        left.Store(c);
        right.Store(c + Columns);
    }
}
