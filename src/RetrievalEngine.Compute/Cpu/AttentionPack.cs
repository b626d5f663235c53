using System;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>Copies of rows in the layouts that <see cref="AttentionTile"/> reads.</summary>
internal static unsafe class AttentionPack
{
    /// <summary>
    /// target[panel][d][lane] = factor · source[16 · panel + lane][d]: rows become columns. Lanes of the last panel beyond <paramref name="rows"/>
    /// repeat the last row, so that they hold nothing that could trap or grow.
    /// </summary>
    public static void Transpose(float* source, nint stride, int rows, int width, float factor, float* target)
    {
        for (int first = 0; first < rows; first += AttentionTile.Columns, target += AttentionTile.Columns * (nint)width)
        {
            for (int lane = 0; lane < AttentionTile.Columns; lane += 4)
            {
                float* a = source + Math.Min(first + lane, rows - 1) * stride, b = source + Math.Min(first + lane + 1, rows - 1) * stride;
                float* c = source + Math.Min(first + lane + 2, rows - 1) * stride, d = source + Math.Min(first + lane + 3, rows - 1) * stride;
                float* column = target + lane;
                int x = 0;
                if (Sse.IsSupported)
                {
                    Vector128<float> f = Vector128.Create(factor);
                    for (; x <= width - 4; x += 4, column += 4 * AttentionTile.Columns)
                    {
                        Vector128<float> va = Vector128.Load(a + x) * f, vb = Vector128.Load(b + x) * f;
                        Vector128<float> vc = Vector128.Load(c + x) * f, vd = Vector128.Load(d + x) * f;
                        Vector128<float> ab = Sse.UnpackLow(va, vb), cd = Sse.UnpackLow(vc, vd);
                        Sse.MoveLowToHigh(ab, cd).Store(column);
                        Sse.MoveHighToLow(cd, ab).Store(column + AttentionTile.Columns);
                        (ab, cd) = (Sse.UnpackHigh(va, vb), Sse.UnpackHigh(vc, vd));
                        Sse.MoveLowToHigh(ab, cd).Store(column + 2 * AttentionTile.Columns);
                        Sse.MoveHighToLow(cd, ab).Store(column + 3 * AttentionTile.Columns);
                    }
                }

                for (; x < width; x++, column += AttentionTile.Columns)
                {
                    column[0] = a[x] * factor;
                    column[1] = b[x] * factor;
                    column[2] = c[x] * factor;
                    column[3] = d[x] * factor;
                }
            }
        }
    }

    /// <summary>Asks for rows that will be read element by element, where every miss would be waited for.</summary>
    public static void Prefetch(float* source, nint stride, int rows, int width)
    {
        if (!Sse.IsSupported) return;
        for (int row = 0; row < rows; row++, source += stride)
        {
            for (int x = 0; x < width; x += AttentionTile.Columns) Sse.Prefetch1(source + x);
        }
    }

    /// <summary>target[panel · panelStride + row · 16 + x] = source[row][16 · panel + x]; 0 beyond <paramref name="width"/>.</summary>
    public static void Panels(float* source, nint stride, int rows, int width, float* target, nint panelStride)
    {
        for (int row = 0; row < rows; row++, source += stride, target += AttentionTile.Columns)
        {
            float* column = target;
            int x = 0;
            for (; x <= width - AttentionTile.Columns; x += AttentionTile.Columns, column += panelStride) Vector512.Load(source + x).Store(column);
            if (x < width) VectorMath.LoadPartial(source + x, width - x).Store(column);
        }
    }
}
