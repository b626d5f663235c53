using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Threading;
using RetrievalEngine.Compute.Cpu.Scan;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    // A pass reads all rows once: as many queries as are worth it, as long as what is collected for them stays small.
    private const long QueriesPerPass = 256, CandidateBytesPerPass = 64 << 20;

    // Rows that stay in a level 2 cache of 1 MiB while all queries of the pass, which come from the level 3 cache, meet them.
    private const long RowBlockBytes = 512 << 10;

    /// <inheritdoc/>
    public void ScoreTopK(Tensor queries, Tensor rows, Tensor rowScales, Tensor rowTerms, long firstRow, Tensor scores, Tensor indices, bool merge)
    {
        (long q, long n, long d, long k) = OpChecks.ScoreTopK(queries, rows, rowScales, rowTerms, firstRow, scores, indices);
        if (!merge)
        {
            scores.AsSpan<float>().Fill(float.NegativeInfinity);
            indices.AsSpan<long>().Fill(-1);
        }

        // The units of queries that are scanned in integers: each by itself, whatever others there are.
        using Scratch.Loan loan = _scratch.Rent(q * sizeof(float));
        float* units = (float*)loan.Pointer;
        for (long query = 0; query < q; query++)
        {
            ReadOnlySpan<float> elements = new(Pointer<float>(queries) + query * d, checked((int)d));
            units[query] = rows.DType == DType.I8 && CodeScan.IsSupported && FixedPoint.Is(elements, out float unit) ? unit : 0;
        }

        // A candidate's row has 32 bits.
        for (long start = 0; start < n && k > 0 && q > 0; start += uint.MaxValue)
        {
            long count = Math.Min(uint.MaxValue, n - start), room = Candidates.Room(k, count), stride = rows.Shape[1] * rows.DType.Size();
            long most = Math.Clamp(CandidateBytesPerPass / (_workers.Count * room * sizeof(ulong)), 1, QueriesPerPass);
            // 260 queries are twice 130, not 256 and 4.
            long passes = (q + most - 1) / most, queriesPerPass = (q + passes - 1) / passes;
            for (long query = 0, together; query < q; query += together)
            {
                float* first = Pointer<float>(queries) + query * d;
                bool isWhole = units[query] > 0;
                for (together = 1; together < Math.Min(queriesPerPass, q - query) && units[query + together] > 0 == isWhole;) together++;
                ScorePass(new ScorePlan(
                    first, (int)together, isWhole ? units + query : null,
                    Pointer<byte>(rows) + start * stride, stride, rows.DType, rowScales.IsEmpty ? null : Pointer<float>(rowScales) + start,
                    rowTerms.IsEmpty ? null : Pointer<float>(rowTerms) + start, count, d, firstRow + start, k, checked((int)room), Pointer<float>(scores) + query * k, Pointer<long>(indices) + query * k));
            }
        }
    }

    private void ScorePass(ScorePlan plan)
    {
        ScoreLayout layout = new(plan, _workers.Count);
        int rowsPerBlock = layout.RowsPerBlock, lanes = (int)Math.Min(_workers.Count, (plan.N + rowsPerBlock - 1) / rowsPerBlock);
        long lists = (long)lanes * plan.Queries, keys = lists * plan.Room;
        using Scratch.Loan loan = _scratch.Rent(64 + (keys + lists) * sizeof(ulong) + lists * sizeof(Candidates) + 128 + plan.Queries * sizeof(float)
            + layout.QueryBytes + lanes * layout.LaneBytes);
        ulong* key = (ulong*)loan.Pointer, floors = key + keys;
        long* next = (long*)(floors + lists);
        Candidates* list = (Candidates*)(next + 8);
        byte* queries = (byte*)(((nint)(list + lists) + 63) & ~63), room = queries + layout.QueryBytes;
        float* units = (float*)(room + lanes * layout.LaneBytes);
        for (int i = 0; i < plan.Queries; i++)
        {
            float* query = plan.QueryData + i * plan.D;
            byte* prepared = queries + i * layout.QueryStride;
            long behind = plan.Queries * layout.Chunk;
            if (plan.IsWhole) CodeScan.Prepare(query, units[i] = plan.WholeUnits[i], plan.D, (short*)prepared, layout.Chunk, behind);
            else units[i] = DotKernel.Prepare(plan.DType, query, plan.D, (float*)prepared, behind);
        }

        for (long i = 0; i < lists; i++)
        {
            long last = (i % plan.Queries + 1) * plan.K - 1;
            float threshold = plan.Indices[last] < 0 ? float.NegativeInfinity : plan.Scores[last];
            (long lane, long query) = Math.DivRem(i, plan.Queries);
            list[i].Begin(key + i * plan.Room, plan.Room, (int)Math.Min(plan.K, plan.N), threshold, floors + query * lanes, (int)lane, lanes);
        }

        new Span<ulong>(floors, (int)lists).Clear();
        *next = 0;
        _workers.Run(new ScoreJob(plan, layout, queries, units, list, next, room), lanes);
        _workers.Run(new MergeJob(plan, lanes, list), plan.Queries);
    }

    /// <summary>
    /// How a pass goes through its rows: block after block, and all queries chunk after chunk, which lie as [chunk, query, elements]. Signed bytes that several
    /// queries meet in integers are widened first.
    /// </summary>
    private readonly struct ScoreLayout
    {
        public ScoreLayout(ScorePlan plan, int threads)
        {
            bool widens = plan.IsWhole && plan.Queries > 1;
            Chunk = widens ? CodeScan.Chunk(plan.D) : plan.IsWhole ? Math.Max(1, DotKernel.Prepared(plan.D)) : DotKernel.Chunk(plan.D);
            Chunks = Math.Max(1, (plan.D + Chunk - 1) / Chunk);
            QueryStride = Chunk * (plan.IsWhole ? sizeof(short) : sizeof(float));
            QueryBytes = Chunks * plan.Queries * QueryStride;
            long rowBytes = widens ? QueryStride : Math.Max(1, plan.D * sizeof(float));
            RowsPerBlock = (int)Math.Clamp(Math.Min(RowBlockBytes / rowBytes, plan.N / threads) / 16 * 16, 16, 256);
            WidenedBytes = widens ? RowsPerBlock * QueryStride : 0;
            LaneBytes = WidenedBytes + (long)plan.Queries * RowsPerBlock * sizeof(float);
        }

        /// <summary>Elements of a chunk.</summary>
        public long Chunk { get; }

        public long Chunks { get; }

        /// <summary>Bytes of a query's chunk, and of a widened row's.</summary>
        public long QueryStride { get; }

        public long QueryBytes { get; }

        public int RowsPerBlock { get; }

        public long WidenedBytes { get; }

        /// <summary>Bytes of a thread: widened rows and the sums [query, row] of a block.</summary>
        public long LaneBytes { get; }
    }

    /// <summary>One pass: some queries, all rows.</summary>
    private readonly struct ScorePlan(float* queries, int queryCount, float* wholeUnits, byte* rows, long stride, DType dtype, float* scales, float* terms, long n, long d, long firstRow,
        long k, int room, float* scores, long* indices)
    {
        public float* QueryData => queries;

        public int Queries => queryCount;

        /// <summary>The units of queries that are scanned in integers, or null.</summary>
        public float* WholeUnits => wholeUnits;

        public bool IsWhole => wholeUnits != null;

        public byte* Rows => rows;

        public long Stride => stride;

        public DType DType => dtype;

        public float* Scales => scales;

        public float* Terms => terms;

        public long N => n;

        public long D => d;

        public long FirstRow => firstRow;

        public long K => k;

        public int Room => room;

        public float* Scores => scores;

        public long* Indices => indices;
    }

    /// <summary>A thread takes blocks of rows, the lower ones first, and collects candidates of its own.</summary>
    private readonly struct ScoreJob(ScorePlan plan, ScoreLayout layout, byte* queries, float* units, Candidates* lists, long* next, byte* room) : IJob
    {
        public void Run(int lane)
        {
            byte* widened = room + lane * layout.LaneBytes;
            float* scores = (float*)(widened + layout.WidenedBytes);
            Candidates* list = lists + (long)lane * plan.Queries;
            for (long first = Take(), following; first < plan.N; first = following)
            {
                following = Take();
                int count = (int)Math.Min(layout.RowsPerBlock, plan.N - first);
                if (plan.Terms != null && AreExcluded(plan.Terms + first, count)) continue;
                byte* rows = plan.Rows + first * plan.Stride, after = plan.Rows + Math.Min(following, plan.N) * plan.Stride;
                switch (plan.DType)
                {
                    case DType.F32:
                        Multiply<FloatF32>(rows, count, scores, after);
                        break;
                    case DType.BF16:
                        Multiply<FloatBF16>(rows, count, scores, after);
                        break;
                    case DType.F16:
                        Multiply<FloatF16>(rows, count, scores, after);
                        break;
                    case DType.I8 when plan.IsWhole:
                        MultiplyWhole(rows, count, widened, scores, after);
                        break;
                    default:
                        Multiply<FormatI8>(rows, count, scores, after);
                        break;
                }

                for (int query = 0; query < plan.Queries; query++)
                {
                    float* some = scores + (long)query * layout.RowsPerBlock;
                    Finish(some, units[query], count);
                    Collect(list + query, some, first, count);
                }
            }
        }

        private long Take() => (Interlocked.Increment(ref *next) - 1) * layout.RowsPerBlock;

        private void Multiply<TFormat>(byte* rows, int count, float* scores, byte* after)
            where TFormat : struct, IElementFormat
        {
            if (plan.Queries == 1)
            {
                DotKernel.Multiply<TFormat>(rows, plan.Stride, count, (float*)queries, plan.D, layout.Chunk, scores);
                return;
            }

            Ahead ahead = new(after, count * plan.Stride, layout.Chunks * TileScan.Tiles<FloatTile<TFormat>>(count, plan.Queries), layout.Chunk / DotKernel.Step);
            for (long chunk = 0; chunk < layout.Chunks; chunk++)
            {
                long at = chunk * layout.Chunk;
                Multiply<FloatTile<TFormat>>(rows + at * TFormat.Size, plan.Stride, count, chunk, Math.Min(layout.Chunk, plan.D - at), scores, ref ahead);
            }
        }

        private void MultiplyWhole(byte* rows, int count, byte* widened, float* scores, byte* after)
        {
            if (plan.Queries == 1)
            {
                CodeScan.Multiply((sbyte*)rows, plan.Stride, count, (short*)queries, plan.D, (int*)scores);
                return;
            }

            Ahead ahead = new(after, count * plan.Stride, layout.Chunks * TileScan.Tiles<CodeTile>(count, plan.Queries), layout.Chunk / DotKernel.Step);
            for (long chunk = 0; chunk < layout.Chunks; chunk++)
            {
                long at = chunk * layout.Chunk, elements = Math.Min(layout.Chunk, plan.D - at);
                for (int row = 0; row < count; row++) CodeScan.Widen((sbyte*)rows + row * plan.Stride + at, elements, (short*)(widened + row * layout.QueryStride));
                Multiply<CodeTile>(widened, layout.QueryStride, count, chunk, DotKernel.Prepared(elements), scores, ref ahead);
            }
        }

        private void Multiply<TTile>(byte* rows, long stride, int count, long chunk, long elements, float* scores, ref Ahead ahead)
            where TTile : struct, ITile
        {
            TileScan.Multiply<TTile>(
                new Tile
                {
                    Row = rows,
                    RowStride = stride,
                    Rows = count,
                    Query = queries + chunk * plan.Queries * layout.QueryStride,
                    QueryStride = layout.QueryStride,
                    Queries = plan.Queries,
                    Elements = elements,
                    Sums = (byte*)scores,
                    SumStride = layout.RowsPerBlock,
                    IsFirst = chunk == 0,
                },
                ref ahead);
        }

        /// <summary>Sums as scores: those in integers are converted, either are multiplied by the query's unit.</summary>
        private void Finish(float* scores, float unit, int count)
        {
            if (!plan.IsWhole && unit == 1) return;
            int i = 0;
            for (; i <= count - 16; i += 16)
                ((plan.IsWhole ? Vector512.ConvertToSingle(Vector512.Load((int*)scores + i)) : Vector512.Load(scores + i)) * unit).Store(scores + i);
            for (; i < count; i++) scores[i] = (plan.IsWhole ? ((int*)scores)[i] : scores[i]) * unit;
        }

        private static bool AreExcluded(float* terms, int count)
        {
            int i = 0;
            while (i < count && float.IsNaN(terms[i])) i++;
            return i == count;
        }

        private void Collect(Candidates* list, float* scores, long first, int count)
        {
            float* scales = plan.Scales == null ? null : plan.Scales + first, terms = plan.Terms == null ? null : plan.Terms + first;
            int i = 0;
            // Most groups of 64 have none of the 10 best in them and one of the 1,000 best: a branch that can be predicted.
            for (; i <= count - 64; i += 64)
            {
                Vector512<float> a = Values(scores, scales, terms, i), b = Values(scores, scales, terms, i + 16);
                Vector512<float> c = Values(scores, scales, terms, i + 32), e = Values(scores, scales, terms, i + 48), least = Vector512.Create(list->Threshold);
                if (((Vector512.GreaterThanOrEqual(a, least) | Vector512.GreaterThanOrEqual(b, least))
                    | (Vector512.GreaterThanOrEqual(c, least) | Vector512.GreaterThanOrEqual(e, least))).ExtractMostSignificantBits() == 0) continue;
                list->Add(a, (uint)(first + i));
                list->Add(b, (uint)(first + i + 16));
                list->Add(c, (uint)(first + i + 32));
                list->Add(e, (uint)(first + i + 48));
            }

            for (; i <= count - 16; i += 16) list->Add(Values(scores, scales, terms, i), (uint)(first + i));
            for (; i < count; i++)
            {
                float value = scales == null ? scores[i] : scores[i] * scales[i];
                if (terms != null) value += terms[i];
                if (value >= list->Threshold) list->Add(value, (uint)(first + i));
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector512<float> Values(float* scores, float* scales, float* terms, int i)
        {
            Vector512<float> values = Vector512.Load(scores + i);
            if (scales != null) values *= Vector512.Load(scales + i);
            return terms != null ? values + Vector512.Load(terms + i) : values;
        }
    }

    /// <summary>The candidates of all threads for a query, sorted and merged into its list.</summary>
    private readonly struct MergeJob(ScorePlan plan, int lanes, Candidates* lists) : IJob
    {
        public void Run(int query)
        {
            Candidates* list = lists + query;
            for (int lane = 1; lane < lanes; lane++) list->Add(lists[(long)lane * plan.Queries + query]);
            ReadOnlySpan<ulong> found = list->Sorted();
            float* scores = plan.Scores + query * plan.K;
            long* indices = plan.Indices + query * plan.K;
            long before = plan.K;
            while (before > 0 && indices[before - 1] < 0) before--;

            // How many of either stay; then from the last place to the first, so that nothing is overwritten before it has moved.
            long total = Math.Min(plan.K, before + found.Length), old = 0;
            int fresh = 0;
            while (old + fresh < total)
            {
                if (fresh < found.Length && (old == before || IsBefore(found[fresh], scores[old], indices[old]))) fresh++;
                else old++;
            }

            for (long place = total - 1; fresh > 0; place--)
            {
                if (old > 0 && IsBefore(found[fresh - 1], scores[old - 1], indices[old - 1]))
                {
                    old--;
                    (scores[place], indices[place]) = (scores[old], indices[old]);
                }
                else
                {
                    fresh--;
                    (scores[place], indices[place]) = (Candidates.Score(found[fresh]), plan.FirstRow + Candidates.Row(found[fresh]));
                }
            }
        }

        private bool IsBefore(ulong key, float score, long index)
        {
            float other = Candidates.Score(key);
            return other > score || (other == score && plan.FirstRow + Candidates.Row(key) < index);
        }
    }
}
