using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using RetrievalEngine.Compute.Cpu.Gemm;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>
/// Inner products of rows of signed bytes with queries of <see cref="FixedPoint"/>, in integers: two products of 16 bits and their sum are one step of a
/// lane, twice what float32 does, and the order of the sum is free.
/// </summary>
internal static unsafe class CodeScan
{
    private const int Step = 32, TileRows = 4, MostQueries = 5;
    private const long Line = 64, Ahead = 6144;

    /// <summary>Whether the machine has the instructions.</summary>
    public static bool IsSupported => Avx512BW.IsSupported;

    /// <summary>Elements of a prepared query or row of <paramref name="d"/>: zeros up to a whole step.</summary>
    public static long PreparedCount(long d) => (d + Step - 1) / Step * Step;

    /// <summary>Copies a query of <see cref="FixedPoint"/>, with zeros up to a whole step.</summary>
    public static void Prepare(float* query, long d, short* prepared, float* unit)
    {
        _ = FixedPoint.Is(new ReadOnlySpan<float>(query, (int)d), out *unit);
        for (long i = 0; i < PreparedCount(d); i++) prepared[i] = i < d ? (short)(query[i] / *unit) : (short)0;
    }

    /// <summary>Rows as 16 bits, each <see cref="PreparedCount"/> elements.</summary>
    public static void Widen(sbyte* rows, long stride, int count, long d, short* widened)
    {
        for (int row = 0; row < count; row++, rows += stride)
        {
            long i = 0;
            for (; i <= d - Step; i += Step, widened += Step) Avx512BW.ConvertToVector512Int16(Vector256.Load(rows + i)).Store(widened);
            if (i == d) continue;
            new Span<short>(widened, Step).Clear();
            for (int at = 0; i < d; i++, at++) widened[at] = rows[i];
            widened += Step;
        }
    }

    /// <summary>scores [count] of one query; rows are <paramref name="stride"/> bytes apart and come from memory, one behind the other.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(sbyte* rows, long stride, int count, short* query, float unit, long d, float* scores)
    {
        short* rest = stackalloc short[Step];
        long whole = d / (2 * Step) * (2 * Step);
        Vector512<int>* sums = stackalloc Vector512<int>[TileRows];
        for (int first = 0; first < count; first += TileRows)
        {
            int present = Math.Min(TileRows, count - first);
            for (int i = 0; i < TileRows; i++)
            {
                sbyte* row = rows + (first + Math.Min(i, present - 1)) * stride;
                Vector512<int> even = default, odd = default;
                for (long p = 0; p < whole; p += 2 * Step)
                {
                    even += Avx512BW.MultiplyAddAdjacent(Avx512BW.ConvertToVector512Int16(Vector256.Load(row + p)), Vector512.Load(query + p));
                    odd += Avx512BW.MultiplyAddAdjacent(Avx512BW.ConvertToVector512Int16(Vector256.Load(row + p + Step)), Vector512.Load(query + p + Step));
                    Sse.Prefetch1(row + p + Ahead);
                }

                // No call here: it would cost the sums their registers.
                for (long p = whole; p < d; p += Step)
                {
                    for (int at = 0; at < Step; at++) rest[at] = p + at < d ? row[p + at] : (short)0;
                    even += Avx512BW.MultiplyAddAdjacent(Vector512.Load(rest), Vector512.Load(query + p));
                }

                sums[i] = even + odd;
            }

            Store(sums[0], sums[1], sums[2], sums[3], present, unit, scores + first);
        }
    }

    /// <summary>
    /// scores [q · scoreStride + r] of several queries and widened rows. Meanwhile <paramref name="nextBytes"/> at <paramref name="next"/> are fetched for
    /// a later call; any address will do.
    /// </summary>
    public static void Multiply(short* rows, int count, short* queries, float* units, int queryCount, long d, float* scores, long scoreStride, byte* next,
        long nextBytes)
    {
        long width = PreparedCount(d), steps = width / Step;
        int tiles = (queryCount + MostQueries - 1) / MostQueries;
        byte* end = next + nextBytes;
        long share = DotKernel.Share(nextBytes, count, TileRows, tiles, steps);
        for (int tile = 0; tile < tiles; tile++)
        {
            int query = (int)((long)tile * queryCount / tiles), queriesOfTile = (int)((tile + 1L) * queryCount / tiles) - query;
            for (int row = 0; row < count; row += TileRows)
            {
                Tile(rows + row * width, Math.Min(TileRows, count - row), queries + query * width, units + query, queriesOfTile, width,
                    scores + query * scoreStride + row, scoreStride, next, next < end ? share : 0);
                next += share * steps;
            }
        }
    }

    private static void Tile(short* row, int rows, short* query, float* units, int queries, long width, float* scores, long scoreStride, byte* next, long share)
    {
        switch (queries)
        {
            case 1:
                Tile<N1>(row, rows, query, units, width, scores, scoreStride, next, share);
                break;
            case 2:
                Tile<N2>(row, rows, query, units, width, scores, scoreStride, next, share);
                break;
            case 3:
                Tile<N3>(row, rows, query, units, width, scores, scoreStride, next, share);
                break;
            case 4:
                Tile<N4>(row, rows, query, units, width, scores, scoreStride, next, share);
                break;
            default:
                Tile<N5>(row, rows, query, units, width, scores, scoreStride, next, share);
                break;
        }
    }

    /// <summary>Up to four rows and <typeparamref name="TQueries"/> queries.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile<TQueries>(short* row, int rows, short* query, float* units, long width, float* scores, long scoreStride, byte* next, long share)
        where TQueries : struct, IConstant
    {
        short* row1 = row + Math.Min(1, rows - 1) * width, row2 = row + Math.Min(2, rows - 1) * width, row3 = row + (rows - 1) * width;
        Vector512<int> a0 = default, b0 = default, c0 = default, e0 = default;
        Vector512<int> a1 = default, b1 = default, c1 = default, e1 = default;
        Vector512<int> a2 = default, b2 = default, c2 = default, e2 = default;
        Vector512<int> a3 = default, b3 = default, c3 = default, e3 = default;
        Vector512<int> a4 = default, b4 = default, c4 = default, e4 = default;
        for (long p = 0; p < width; p += Step)
        {
            for (byte* behind = next + share; next < behind; next += Line) Sse.Prefetch1(next);
            Vector512<short> r0 = Vector512.Load(row + p), r1 = Vector512.Load(row1 + p), r2 = Vector512.Load(row2 + p), r3 = Vector512.Load(row3 + p);
            short* from = query + p;
            Add(from, r0, r1, r2, r3, ref a0, ref b0, ref c0, ref e0);
            if (TQueries.Value > 1) Add(from += width, r0, r1, r2, r3, ref a1, ref b1, ref c1, ref e1);
            if (TQueries.Value > 2) Add(from += width, r0, r1, r2, r3, ref a2, ref b2, ref c2, ref e2);
            if (TQueries.Value > 3) Add(from += width, r0, r1, r2, r3, ref a3, ref b3, ref c3, ref e3);
            if (TQueries.Value > 4) Add(from + width, r0, r1, r2, r3, ref a4, ref b4, ref c4, ref e4);
        }

        Store(a0, b0, c0, e0, rows, units[0], scores);
        if (TQueries.Value > 1) Store(a1, b1, c1, e1, rows, units[1], scores + scoreStride);
        if (TQueries.Value > 2) Store(a2, b2, c2, e2, rows, units[2], scores + 2 * scoreStride);
        if (TQueries.Value > 3) Store(a3, b3, c3, e3, rows, units[3], scores + 3 * scoreStride);
        if (TQueries.Value > 4) Store(a4, b4, c4, e4, rows, units[4], scores + 4 * scoreStride);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(short* query, Vector512<short> r0, Vector512<short> r1, Vector512<short> r2, Vector512<short> r3, ref Vector512<int> a,
        ref Vector512<int> b, ref Vector512<int> c, ref Vector512<int> e)
    {
        Vector512<short> x = Vector512.Load(query);
        a += Avx512BW.MultiplyAddAdjacent(r0, x);
        b += Avx512BW.MultiplyAddAdjacent(r1, x);
        c += Avx512BW.MultiplyAddAdjacent(r2, x);
        e += Avx512BW.MultiplyAddAdjacent(r3, x);
    }

    /// <summary>Adds up the lanes of four sums and stores those of rows that are there, in the query's unit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<int> a, Vector512<int> b, Vector512<int> c, Vector512<int> e, int rows, float unit, float* scores)
    {
        Vector512<long> ab = (Avx512F.UnpackLow(a, b) + Avx512F.UnpackHigh(a, b)).AsInt64(), ce = (Avx512F.UnpackLow(c, e) + Avx512F.UnpackHigh(c, e)).AsInt64();
        Vector512<int> all = Avx512F.UnpackLow(ab, ce).AsInt32() + Avx512F.UnpackHigh(ab, ce).AsInt32();
        Vector256<int> half = all.GetLower() + all.GetUpper();
        Vector128<float> sums = Vector128.ConvertToSingle(half.GetLower() + half.GetUpper()) * unit;
        if (rows == TileRows) sums.Store(scores);
        else for (int i = 0; i < rows; i++) scores[i] = sums[i];
    }
}
