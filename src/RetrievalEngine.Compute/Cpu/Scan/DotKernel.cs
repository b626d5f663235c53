using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>
/// Inner products of rows with queries, read along the vectors. A product is 16 sums, one a lane, over a chunk of elements, added up at its end in a fixed order; the
/// sums of chunks are added up one after the other. So it depends on its row and its query alone, whichever of <see cref="RowScan"/>,
/// <see cref="ColumnScan"/> and <see cref="FloatTile{TFormat}"/> multiplies them.
/// </summary>
internal static unsafe class DotKernel
{
    /// <summary>Elements that are read together: two vectors.</summary>
    public const int Step = 2 * Lanes;

    /// <summary>Floats of a vector.</summary>
    public const int Lanes = 16;

    /// <summary>Bytes of a cache line.</summary>
    public const int Line = 64;

    // What a tile needs of so many elements stays in the level 1 cache.
    private const int MostElements = 1024;

    // 2¹¹²
    private const float HalfScale = 5.192296858534828e33f;

    /// <summary>Elements of a prepared query, or of a widened row, of <paramref name="d"/>: zeros up to a whole step.</summary>
    public static long Prepared(long d) => (d + Step - 1) / Step * Step;

    /// <summary>Elements of each chunk of a product but the last one: whole steps.</summary>
    public static long Chunk(long d) => Chunk(d, MostElements);

    /// <summary>Whole steps that divide <paramref name="d"/> elements evenly into chunks of at most <paramref name="most"/>.</summary>
    public static long Chunk(long d, long most)
    {
        long steps = Math.Max(1, Prepared(d) / Step), chunks = (steps * Step + most - 1) / most;
        return (steps + chunks - 1) / chunks * Step;
    }

    /// <summary>
    /// Copies a query into the order and the scale in which <paramref name="dtype"/> is read (<see cref="IElementFormat.LoadPair"/>), with zeros up to a whole
    /// step; its chunks are <paramref name="chunkStride"/> floats apart. Products with it are to be multiplied by what is returned, a power of two: 1 unless
    /// elements are large and <paramref name="dtype"/> is F16.
    /// </summary>
    public static float Prepare(DType dtype, float* query, long d, float* prepared, long chunkStride)
    {
        ReadOnlySpan<float> all = new(query, checked((int)d));
        float unit = 1, factor = dtype == DType.F16 ? HalfScale : 1;
        if (dtype == DType.F16)
        {
            float largest = 0;
            foreach (float x in all) largest = MathF.Max(largest, MathF.Abs(x));
            // Products of 2¹¹² and a unit's multiple stay below 2¹²⁷.
            if (float.IsFinite(largest) && largest >= 1 << 15) unit = MathF.ScaleB(1, MathF.ILogB(largest) - 14);
        }

        int chunk = (int)Chunk(d);
        for (int at = 0; at < all.Length; at += chunk, prepared += chunkStride)
        {
            ReadOnlySpan<float> from = all.Slice(at, Math.Min(chunk, all.Length - at));
            Span<float> to = new(prepared, (int)Prepared(from.Length));
            from.CopyTo(to);
            to[from.Length..].Clear();
            if (dtype is not (DType.BF16 or DType.F16)) continue;
            foreach (ref float x in to) x = x / unit * factor;
            // The even elements of a step and then the odd ones: either a shift takes where they lie.
            for (float* step = prepared, end = prepared + to.Length; step < end; step += Step)
            {
                Vector512<float> first = Vector512.Load(step), second = Vector512.Load(step + Lanes);
                Pick(first, second, 0).Store(step);
                Pick(first, second, 1).Store(step + Lanes);
            }
        }

        return unit;
    }

    /// <summary>
    /// scores [r] = row r · query over <paramref name="d"/> elements, in chunks of <paramref name="chunk"/>. Rows are <paramref name="stride"/> bytes apart, come
    /// from memory one behind the other, and go on behind the last.
    /// </summary>
    public static void Multiply<TFormat>(byte* rows, long stride, int count, float* prepared, long d, long chunk, float* scores)
        where TFormat : struct, IElementFormat
    {
        if (d <= RowScan.MostChunks * MostElements && d <= RowScan.MostChunks * chunk) RowScan.Multiply<TFormat>(rows, stride, count, prepared, d, chunk, scores, RowScan.Ahead);
        else ColumnScan.Multiply<TFormat>(rows, stride, count, prepared, d, chunk, scores);
    }

    /// <summary>Copies the last elements of the rows, fewer than a step, with zeros behind them; gives their number.</summary>
    public static int CopyRests<TFormat>(byte* row, long rowStride, int rows, int all, long d, byte* rests)
        where TFormat : struct, IElementFormat
    {
        int rest = (int)(d % Step), size = Step * TFormat.Size;
        if (rest == 0) return 0;
        new Span<byte>(rests, all * size).Clear();
        for (int i = 0; i < all; i++)
        {
            byte* from = row + Math.Min(i, rows - 1) * rowStride + (d - rest) * TFormat.Size;
            Unsafe.CopyBlockUnaligned(rests + i * size, from, (uint)(rest * TFormat.Size));
        }

        return rest;
    }

    /// <summary>Every second element of two vectors, from <paramref name="start"/> on.</summary>
    private static Vector512<float> Pick(Vector512<float> first, Vector512<float> second, int start)
    {
        float* both = stackalloc float[Step], picked = stackalloc float[Lanes];
        first.Store(both);
        second.Store(both + Lanes);
        for (int i = 0; i < Lanes; i++) picked[i] = both[2 * i + start];
        return Vector512.Load(picked);
    }

    /// <summary>Adds up the lanes of four sums and stores those of rows that are there, or adds them to what is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> e, int rows, float* scores, bool isFirst)
    {
        Vector128<float> sums = Sums(a, b, c, e);
        if (rows == 4) (isFirst ? sums : Vector128.Load(scores) + sums).Store(scores);
        else for (int i = 0; i < rows; i++) scores[i] = isFirst ? sums[i] : scores[i] + sums[i];
    }

    /// <summary>The sums of the lanes of each of four vectors, in a fixed order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sums(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> e)
    {
        if (!Avx512F.IsSupported) return Vector128.Create(Vector512.Sum(a), Vector512.Sum(b), Vector512.Sum(c), Vector512.Sum(e));
        Vector512<double> ab = (Avx512F.UnpackLow(a, b) + Avx512F.UnpackHigh(a, b)).AsDouble(),
            ce = (Avx512F.UnpackLow(c, e) + Avx512F.UnpackHigh(c, e)).AsDouble();
        Vector512<float> all = Avx512F.UnpackLow(ab, ce).AsSingle() + Avx512F.UnpackHigh(ab, ce).AsSingle();
        Vector256<float> half = all.GetLower() + all.GetUpper();
        return half.GetLower() + half.GetUpper();
    }
}
