using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using RetrievalEngine.Compute.Cpu.Scan;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// Inner products of rows with a few queries: both are read along the vectors, so that nothing of the rows is packed. Each product is 16 sums, one a
/// lane, added up at the end in a fixed order: it depends on its row and its query alone. Memory is the limit, and how much of it is under way: a
/// processor holds so many loads, so several rows share each load of a query that is too long for the level 1 cache (else <see cref="RowScan"/>).
/// </summary>
internal static unsafe class DotKernel
{
    private const int Lanes = 16, Step = 2 * Lanes, MostRows = 8, TileRows = 4, MostQueries = 5;
    // What a tile needs of 1,024 elements stays in the level 1 cache.
    private const int GroupRows = 64, ChunkSteps = 32, SumsOfTile = TileRows * MostQueries * Lanes;
    private const long Line = 64;

    // 2¹¹²
    private const float HalfScale = 5.192296858534828e33f;

    // As many sums as there are registers for.
    private static int RowsOfTile => Avx512F.IsSupported ? TileRows : 2;

    /// <summary>Queries that share a tile.</summary>
    public static int Queries => Avx512F.IsSupported ? MostQueries : 2;

    /// <summary>Floats of a prepared query of <paramref name="d"/> elements.</summary>
    public static long PreparedFloats(long d) => (d + Step - 1) / Step * Step;

    /// <summary>
    /// Copies a query into the order and the scale in which <paramref name="dtype"/> is read (<see cref="IElementFormat.LoadPair"/>), with zeros up to a whole
    /// step. Products with it are to be multiplied by what is returned, a power of two: 1 unless elements are large and <paramref name="dtype"/> is F16.
    /// </summary>
    public static float Prepare(DType dtype, float* query, long d, float* prepared)
    {
        ReadOnlySpan<float> from = new(query, checked((int)d));
        Span<float> to = new(prepared, (int)PreparedFloats(d));
        from.CopyTo(to);
        to[from.Length..].Clear();
        float unit = 1;
        if (dtype == DType.F16)
        {
            float largest = 0;
            foreach (float x in from) largest = MathF.Max(largest, MathF.Abs(x));
            // Products of 2¹¹² and a unit's multiple stay below 2¹²⁷.
            if (float.IsFinite(largest) && largest >= 1 << 15) unit = MathF.ScaleB(1, MathF.ILogB(largest) - 14);
            foreach (ref float x in to) x = x / unit * HalfScale;
        }

        if (dtype is not (DType.BF16 or DType.F16)) return unit;
        // The even elements of a step and then the odd ones: either a shift takes where they lie.
        for (float* step = prepared, end = prepared + PreparedFloats(d); step < end; step += Step)
        {
            Vector512<float> first = Vector512.Load(step), second = Vector512.Load(step + Lanes);
            Pick(first, second, 0).Store(step);
            Pick(first, second, 1).Store(step + Lanes);
        }

        return unit;
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

    /// <summary>Writes a row as float32 rows lie that meet the same prepared queries: <see cref="PreparedFloats"/> floats.</summary>
    public static void Widen<TFormat>(byte* row, long d, float* widened)
        where TFormat : struct, IElementFormat
    {
        byte* rests = stackalloc byte[Step * sizeof(float)];
        int rest = CopyRests<TFormat>(row, 0, 1, 1, d, rests);
        for (float* last = widened + (d - rest); widened < last; widened += Step, row += Step * TFormat.Size) StorePair<TFormat>(row, widened);
        if (rest > 0) StorePair<TFormat>(rests, widened);
    }

    /// <summary>
    /// scores [q · scoreStride + r] = row r · query q over <paramref name="d"/> elements. Rows are <paramref name="rowStride"/> bytes apart, prepared
    /// queries <see cref="PreparedFloats"/> floats. The rows of one query come from memory, one behind the other, and go on behind the last; those of
    /// several are taken to be at hand, while <paramref name="nextBytes"/> at <paramref name="next"/> are fetched for a later call; any address will do.
    /// </summary>
    public static void Multiply<TFormat>(byte* rows, long rowStride, int rowCount, float* prepared, int queryCount, long d, float* scores,
        long scoreStride, byte* next, long nextBytes)
        where TFormat : struct, IElementFormat
    {
        if (queryCount == 1)
        {
            if (d <= RowScan.MostElements) RowScan.Multiply<TFormat>(rows, rowStride, rowCount, prepared, d, scores);
            else Columns<TFormat>(rows, rowStride, rowCount, prepared, d, scores);
            return;
        }

        // Tiles of even width: 16 queries are four of 4, not three of 5 and one of 1; and even chunks of long rows.
        int tiles = (queryCount + Queries - 1) / Queries, step = RowsOfTile, group = Math.Min(rowCount, GroupRows);
        long queryStride = PreparedFloats(d), steps = queryStride / Step, chunks = (steps + ChunkSteps - 1) / ChunkSteps, chunk = chunks <= 1 ? d : (steps + chunks - 1) / chunks * Step;
        long share = Share(nextBytes, rowCount, step, tiles, steps);
        byte* end = next + nextBytes;
        // The sums of a group's tiles, while there are chunks to come.
        int kept = chunks <= 1 ? 0 : (group + step - 1) / step * SumsOfTile;
        float* sums = stackalloc float[kept];
        for (int tile = 0; tile < tiles; tile++)
        {
            int query = (int)((long)tile * queryCount / tiles), count = (int)((tile + 1L) * queryCount / tiles) - query;
            float* from = prepared + query * queryStride, to = scores + query * scoreStride;
            for (int first = 0; first < rowCount; first += group)
            {
                int behind = Math.Min(rowCount, first + group);
                new Span<float>(sums, kept).Clear();
                long at = 0;
                do
                {
                    long elements = Math.Min(chunk, d - at);
                    float* sum = kept == 0 ? null : sums;
                    for (int row = first; row < behind; row += step)
                    {
                        Tile<TFormat>(rows + row * rowStride + at * TFormat.Size, rowStride, Math.Min(step, rowCount - row), from + at, queryStride, count, elements, sum,
                            at + elements == d, to + row, scoreStride, next, next < end ? share : 0);
                        next += share * PreparedFloats(elements) / Step;
                        if (sum != null) sum += SumsOfTile;
                    }

                    at += elements;
                }
                while (at < d);
            }
        }
    }

    private static void Columns<TFormat>(byte* rows, long rowStride, int rowCount, float* query, long d, float* scores)
        where TFormat : struct, IElementFormat
    {
        int step = Avx512F.IsSupported ? MostRows : MostRows / 2;
        for (int row = 0; row < rowCount; row += step)
        {
            byte* first = rows + row * rowStride;
            int present = Math.Min(step, rowCount - row);
            if (step == MostRows) Column<TFormat, N8>(first, rowStride, present, query, d, scores + row);
            else Column<TFormat, N4>(first, rowStride, present, query, d, scores + row);
        }
    }

    /// <summary>
    /// Bytes of the next rows, whole lines, that each of the <paramref name="steps"/> of a tile of <paramref name="rowsOfTile"/> rows fetches, so that
    /// memory is not idle while the rows at hand meet <paramref name="tiles"/> tiles of queries.
    /// </summary>
    public static long Share(long nextBytes, int rowCount, int rowsOfTile, int tiles, long steps) =>
        nextBytes / Line * rowsOfTile / Math.Max(1, tiles * steps * rowCount) * Line + Line;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StorePair<TFormat>(byte* source, float* destination)
        where TFormat : struct, IElementFormat
    {
        TFormat.LoadPair(source, out Vector512<float> first, out Vector512<float> second);
        first.Store(destination);
        second.Store(destination + Lanes);
    }

    /// <summary>Copies the last elements of the rows, fewer than a step, with zeros behind them; gives their number.</summary>
    private static int CopyRests<TFormat>(byte* row, long rowStride, int rows, int all, long d, byte* rests)
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

    /// <summary>
    /// A step of the <paramref name="number"/>th row of a column, and what it fetches of <paramref name="next"/>. Of two lines of 16-bit elements one is enough,
    /// the processor adds its neighbour; each instruction less lets it look further ahead.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<TFormat>(byte* row, Vector512<float> x, Vector512<float> y, byte* next, int number, ref Vector512<float> sum)
        where TFormat : struct, IElementFormat
    {
        TFormat.LoadPair(row, out Vector512<float> a, out Vector512<float> b);
        sum = Vector512.MultiplyAddEstimate(y, b, Vector512.MultiplyAddEstimate(x, a, sum));
        if (!Sse.IsSupported) return;
        byte* at = next + number * Step * TFormat.Size;
        if (TFormat.Size == sizeof(float)) Sse.Prefetch1(at + Line);
        if (TFormat.Size == sizeof(float) || number % 2 == 0) Sse.Prefetch1(at);
    }

    /// <summary>
    /// Up to <typeparamref name="TRows"/> rows and one query. Rows that are not there are the last one again. As many rows behind them are fetched
    /// meanwhile, one behind the other: one stream for the memory, where each row fetching its own would be eight.
    /// </summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Column<TFormat, TRows>(byte* row, long rowStride, int rows, float* query, long d, float* scores)
        where TFormat : struct, IElementFormat
        where TRows : struct, IConstant
    {
        byte* rests = stackalloc byte[MostRows * Step * sizeof(float)];
        int rest = CopyRests<TFormat>(row, rowStride, rows, TRows.Value, d, rests), size = TFormat.Size;
        byte* row1 = row + Math.Min(1, rows - 1) * rowStride, row2 = row + Math.Min(2, rows - 1) * rowStride, row3 = row + Math.Min(3, rows - 1) * rowStride;
        byte* row4 = row + Math.Min(4, rows - 1) * rowStride, row5 = row + Math.Min(5, rows - 1) * rowStride, row6 = row + Math.Min(6, rows - 1) * rowStride;
        byte* row7 = row + (rows - 1) * rowStride, next = row + TRows.Value * rowStride;
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
        for (long end = (d - rest) * size; ;)
        {
            for (long p = 0; p < end; p += Step * size)
            {
                Vector512<float> x = Vector512.Load(query), y = Vector512.Load(query + Lanes);
                query += Step;
                Add<TFormat>(row + p, x, y, next, 0, ref s0);
                Add<TFormat>(row1 + p, x, y, next, 1, ref s1);
                Add<TFormat>(row2 + p, x, y, next, 2, ref s2);
                Add<TFormat>(row3 + p, x, y, next, 3, ref s3);
                if (TRows.Value > 4)
                {
                    Add<TFormat>(row4 + p, x, y, next, 4, ref s4);
                    Add<TFormat>(row5 + p, x, y, next, 5, ref s5);
                    Add<TFormat>(row6 + p, x, y, next, 6, ref s6);
                    Add<TFormat>(row7 + p, x, y, next, 7, ref s7);
                }

                next += TRows.Value * Step * size;
            }

            if (rest == 0) break;
            end = Step * size;
            row = rests;
            row1 = row + end;
            row2 = row1 + end;
            row3 = row2 + end;
            row4 = row3 + end;
            row5 = row4 + end;
            row6 = row5 + end;
            row7 = row6 + end;
            rest = 0;
        }

        Store(s0, s1, s2, s3, Math.Min(rows, 4), scores);
        if (rows > 4) Store(s4, s5, s6, s7, rows - 4, scores + 4);
    }

    private static void Tile<TFormat>(byte* row, long rowStride, int rows, float* query, long queryStride, int queries, long d, float* sums, bool isLast, float* scores,
        long scoreStride, byte* next, long share)
        where TFormat : struct, IElementFormat
    {
        if (!Avx512F.IsSupported) Tile<TFormat, N2, N2>(row, rowStride, rows, query, queryStride, d, sums, isLast, scores, scoreStride, next, share);
        else if (queries == 2) Tile<TFormat, N4, N2>(row, rowStride, rows, query, queryStride, d, sums, isLast, scores, scoreStride, next, share);
        else if (queries == 3) Tile<TFormat, N4, N3>(row, rowStride, rows, query, queryStride, d, sums, isLast, scores, scoreStride, next, share);
        else if (queries == 4) Tile<TFormat, N4, N4>(row, rowStride, rows, query, queryStride, d, sums, isLast, scores, scoreStride, next, share);
        else Tile<TFormat, N4, N5>(row, rowStride, rows, query, queryStride, d, sums, isLast, scores, scoreStride, next, share);
    }

    /// <summary>
    /// Up to <typeparamref name="TRows"/> rows and <typeparamref name="TQueries"/> queries. Their sums go on from <paramref name="sums"/>, and stay there until
    /// the last chunk.
    /// </summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile<TFormat, TRows, TQueries>(byte* row, long rowStride, int rows, float* query, long queryStride, long d, float* sums, bool isLast, float* scores,
        long scoreStride, byte* next, long share)
        where TFormat : struct, IElementFormat
        where TRows : struct, IConstant
        where TQueries : struct, IConstant
    {
        byte* rests = stackalloc byte[TileRows * Step * sizeof(float)];
        int rest = CopyRests<TFormat>(row, rowStride, rows, TRows.Value, d, rests), size = TFormat.Size;
        byte* row1 = row + Math.Min(1, rows - 1) * rowStride, row2 = row + Math.Min(2, rows - 1) * rowStride, row3 = row + (rows - 1) * rowStride;
        Vector512<float> a0 = default, b0 = default, c0 = default, e0 = default;
        Vector512<float> a1 = default, b1 = default, c1 = default, e1 = default;
        Vector512<float> a2 = default, b2 = default, c2 = default, e2 = default;
        Vector512<float> a3 = default, b3 = default, c3 = default, e3 = default;
        Vector512<float> a4 = default, b4 = default, c4 = default, e4 = default;
        if (sums != null)
        {
            Load(sums, 0, ref a0, ref b0, ref c0, ref e0);
            Load(sums, 1, ref a1, ref b1, ref c1, ref e1);
            if (TQueries.Value > 2) Load(sums, 2, ref a2, ref b2, ref c2, ref e2);
            if (TQueries.Value > 3) Load(sums, 3, ref a3, ref b3, ref c3, ref e3);
            if (TQueries.Value > 4) Load(sums, 4, ref a4, ref b4, ref c4, ref e4);
        }

        for (long end = (d - rest) * size; ;)
        {
            for (long p = 0; p < end; p += Step * size)
            {
                Vector512<float> r2 = default, r3 = default, u2 = default, u3 = default;
                TFormat.LoadPair(row + p, out Vector512<float> r0, out Vector512<float> u0);
                TFormat.LoadPair(row1 + p, out Vector512<float> r1, out Vector512<float> u1);
                if (TRows.Value > 2) TFormat.LoadPair(row2 + p, out r2, out u2);
                if (TRows.Value > 2) TFormat.LoadPair(row3 + p, out r3, out u3);
                for (byte* behind = next + share; Sse.IsSupported && next < behind; next += Line) Sse.Prefetch1(next);
                float* from = query;
                query += Step;
                Vector512<float> x = Vector512.Load(from), y = Vector512.Load(from + Lanes);
                a0 = Vector512.MultiplyAddEstimate(u0, y, Vector512.MultiplyAddEstimate(r0, x, a0));
                b0 = Vector512.MultiplyAddEstimate(u1, y, Vector512.MultiplyAddEstimate(r1, x, b0));
                if (TRows.Value > 2) c0 = Vector512.MultiplyAddEstimate(u2, y, Vector512.MultiplyAddEstimate(r2, x, c0));
                if (TRows.Value > 2) e0 = Vector512.MultiplyAddEstimate(u3, y, Vector512.MultiplyAddEstimate(r3, x, e0));
                from += queryStride;
                (x, y) = (Vector512.Load(from), Vector512.Load(from + Lanes));
                a1 = Vector512.MultiplyAddEstimate(u0, y, Vector512.MultiplyAddEstimate(r0, x, a1));
                b1 = Vector512.MultiplyAddEstimate(u1, y, Vector512.MultiplyAddEstimate(r1, x, b1));
                if (TRows.Value > 2) c1 = Vector512.MultiplyAddEstimate(u2, y, Vector512.MultiplyAddEstimate(r2, x, c1));
                if (TRows.Value > 2) e1 = Vector512.MultiplyAddEstimate(u3, y, Vector512.MultiplyAddEstimate(r3, x, e1));
                if (TQueries.Value <= 2) continue;
                from += queryStride;
                (x, y) = (Vector512.Load(from), Vector512.Load(from + Lanes));
                a2 = Vector512.MultiplyAddEstimate(u0, y, Vector512.MultiplyAddEstimate(r0, x, a2));
                b2 = Vector512.MultiplyAddEstimate(u1, y, Vector512.MultiplyAddEstimate(r1, x, b2));
                c2 = Vector512.MultiplyAddEstimate(u2, y, Vector512.MultiplyAddEstimate(r2, x, c2));
                e2 = Vector512.MultiplyAddEstimate(u3, y, Vector512.MultiplyAddEstimate(r3, x, e2));
                if (TQueries.Value <= 3) continue;
                from += queryStride;
                (x, y) = (Vector512.Load(from), Vector512.Load(from + Lanes));
                a3 = Vector512.MultiplyAddEstimate(u0, y, Vector512.MultiplyAddEstimate(r0, x, a3));
                b3 = Vector512.MultiplyAddEstimate(u1, y, Vector512.MultiplyAddEstimate(r1, x, b3));
                c3 = Vector512.MultiplyAddEstimate(u2, y, Vector512.MultiplyAddEstimate(r2, x, c3));
                e3 = Vector512.MultiplyAddEstimate(u3, y, Vector512.MultiplyAddEstimate(r3, x, e3));
                if (TQueries.Value <= 4) continue;
                from += queryStride;
                (x, y) = (Vector512.Load(from), Vector512.Load(from + Lanes));
                a4 = Vector512.MultiplyAddEstimate(u0, y, Vector512.MultiplyAddEstimate(r0, x, a4));
                b4 = Vector512.MultiplyAddEstimate(u1, y, Vector512.MultiplyAddEstimate(r1, x, b4));
                c4 = Vector512.MultiplyAddEstimate(u2, y, Vector512.MultiplyAddEstimate(r2, x, c4));
                e4 = Vector512.MultiplyAddEstimate(u3, y, Vector512.MultiplyAddEstimate(r3, x, e4));
            }

            if (rest == 0) break;
            end = Step * size;
            row = rests;
            row1 = row + end;
            row2 = row1 + end;
            row3 = row2 + end;
            (rest, share) = (0, 0);
        }

        if (!isLast)
        {
            Keep(a0, b0, c0, e0, sums, 0);
            Keep(a1, b1, c1, e1, sums, 1);
            if (TQueries.Value > 2) Keep(a2, b2, c2, e2, sums, 2);
            if (TQueries.Value > 3) Keep(a3, b3, c3, e3, sums, 3);
            if (TQueries.Value > 4) Keep(a4, b4, c4, e4, sums, 4);
            return;
        }

        Store(a0, b0, c0, e0, rows, scores);
        Store(a1, b1, c1, e1, rows, scores + scoreStride);
        if (TQueries.Value > 2) Store(a2, b2, c2, e2, rows, scores + 2 * scoreStride);
        if (TQueries.Value > 3) Store(a3, b3, c3, e3, rows, scores + 3 * scoreStride);
        if (TQueries.Value > 4) Store(a4, b4, c4, e4, rows, scores + 4 * scoreStride);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Load(float* sums, int query, ref Vector512<float> a, ref Vector512<float> b, ref Vector512<float> c, ref Vector512<float> e)
    {
        float* from = sums + query * TileRows * Lanes;
        a = Vector512.Load(from);
        b = Vector512.Load(from + Lanes);
        c = Vector512.Load(from + 2 * Lanes);
        e = Vector512.Load(from + 3 * Lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Keep(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> e, float* sums, int query)
    {
        float* to = sums + query * TileRows * Lanes;
        a.Store(to);
        b.Store(to + Lanes);
        c.Store(to + 2 * Lanes);
        e.Store(to + 3 * Lanes);
    }

    /// <summary>Adds up the lanes of four sums and stores those of rows that are there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> e, int rows, float* scores)
    {
        Vector128<float> sums = Sums(a, b, c, e);
        if (rows == 4) sums.Store(scores);
        else for (int i = 0; i < rows; i++) scores[i] = sums[i];
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
