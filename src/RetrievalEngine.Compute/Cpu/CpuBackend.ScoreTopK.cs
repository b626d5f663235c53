using System;
using System.Runtime.Intrinsics;
using System.Threading;
using RetrievalEngine.Compute.Cpu.Gemm;
using RetrievalEngine.Compute.Cpu.Scan;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    // A pass reads all rows once: as many queries as are worth it, as long as what is collected for them stays small.
    private const long QueriesPerPass = 250, QueriesToWiden = 6, CandidateBytesPerPass = 64 << 20;

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

        // A candidate's row has 32 bits.
        for (long start = 0; start < n && k > 0 && q > 0; start += uint.MaxValue)
        {
            long count = Math.Min(uint.MaxValue, n - start), room = Candidates.Room(k, count), stride = rows.Shape[1] * rows.DType.Size();
            long most = Math.Clamp(CandidateBytesPerPass / (_workers.Count * room * sizeof(ulong)), 1, QueriesPerPass);
            // 256 queries are twice 128, not 250 and 6.
            long passes = (q + most - 1) / most, queriesPerPass = (q + passes - 1) / passes;
            for (long query = 0, together; query < q; query += together)
            {
                float* first = Pointer<float>(queries) + query * d;
                bool isWhole = IsWhole(rows.DType, first, d);
                for (together = 1; together < Math.Min(queriesPerPass, q - query) && IsWhole(rows.DType, first + together * d, d) == isWhole;) together++;
                ScorePass(new ScorePlan(
                    first, (int)together, isWhole,
                    Pointer<byte>(rows) + start * stride, stride, rows.DType, rowScales.IsEmpty ? null : Pointer<float>(rowScales) + start,
                    rowTerms.IsEmpty ? null : Pointer<float>(rowTerms) + start, count, d, firstRow + start, k, checked((int)room), Pointer<float>(scores) + query * k, Pointer<long>(indices) + query * k));
            }
        }
    }

    /// <summary>Whether <see cref="CodeScan"/> scores a query: by itself alone, whatever others there are.</summary>
    private static bool IsWhole(DType rows, float* query, long d) =>
        rows == DType.I8 && CodeScan.IsSupported && FixedPoint.Is(new ReadOnlySpan<float>(query, checked((int)d)), out _);

    private void ScorePass(ScorePlan plan)
    {
        int rowsPerBlock = (int)Math.Clamp(Math.Min(RowBlockBytes / Math.Max(1, plan.D * sizeof(float)), plan.N / _workers.Count) / 16 * 16, 16, 256);
        int lanes = (int)Math.Min(_workers.Count, (plan.N + rowsPerBlock - 1) / rowsPerBlock);
        long prepared = DotKernel.PreparedFloats(plan.D);
        // F16 takes some steps to widen: once, where there are many queries.
        long widened = plan.DType == DType.F16 && plan.Queries >= QueriesToWiden ? rowsPerBlock * prepared : 0;
        if (plan.IsWhole && plan.Queries > 1) widened = rowsPerBlock * CodeScan.PreparedCount(plan.D) / 2;
        long laneFloats = widened + (long)plan.Queries * rowsPerBlock;
        long lists = (long)lanes * plan.Queries, keys = lists * plan.Room;
        using Scratch.Loan loan = _scratch.Rent(64 + (keys + lists) * sizeof(ulong) + lists * sizeof(Candidates) + 128
            + (plan.Queries * (prepared + 1) + 15 + lanes * laneFloats) * sizeof(float));
        ulong* key = (ulong*)loan.Pointer, floors = key + keys;
        long* next = (long*)(floors + lists);
        Candidates* list = (Candidates*)(next + 8);
        float* queries = (float*)(((nint)(list + lists) + 63) & ~63), units = queries + plan.Queries * prepared, room = units + (plan.Queries + 15) / 16 * 16;
        for (int i = 0; i < plan.Queries; i++)
        {
            float* query = plan.QueryData + i * plan.D;
            if (plan.IsWhole) CodeScan.Prepare(query, plan.D, (short*)queries + i * CodeScan.PreparedCount(plan.D), units + i);
            else units[i] = DotKernel.Prepare(plan.DType, query, plan.D, queries + i * prepared);
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
        _workers.Run(new ScoreJob(plan, lanes, queries, units, rowsPerBlock, widened, list, next, room, laneFloats), lanes);
        _workers.Run(new MergeJob(plan, lanes, list), plan.Queries);
    }

    /// <summary>One pass: some queries, all rows.</summary>
    private readonly struct ScorePlan(float* queries, int queryCount, bool isWhole, byte* rows, long stride, DType dtype, float* scales, float* terms, long n, long d, long firstRow,
        long k, int room, float* scores, long* indices)
    {
        public float* QueryData => queries;

        public int Queries => queryCount;

        public bool IsWhole => isWhole;

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
    private readonly struct ScoreJob(ScorePlan plan, int lanes, float* queries, float* units, int rowsPerBlock, long widened, Candidates* lists, long* next, float* room,
        long laneFloats) : IJob
    {
        public void Run(int lane)
        {
            float* block = room + lane * laneFloats, scores = block + widened;
            Candidates* list = lists + (long)lane * plan.Queries;
            for (long first = Take(); first < plan.N; first = Take())
            {
                int count = (int)Math.Min(rowsPerBlock, plan.N - first);
                if (plan.Terms != null && AreExcluded(plan.Terms + first, count)) continue;
                byte* rows = plan.Rows + first * plan.Stride, next = rows + (long)lanes * rowsPerBlock * plan.Stride;
                switch (plan.DType)
                {
                    case DType.F32:
                        Multiply<FloatF32>(rows, plan.Stride, plan.D, count, scores, next);
                        break;
                    case DType.BF16:
                        Multiply<FloatBF16>(rows, plan.Stride, plan.D, count, scores, next);
                        break;
                    case DType.I8 when plan.IsWhole:
                        MultiplyWhole(rows, count, (short*)block, scores, next);
                        break;
                    case DType.F16 when widened > 0:
                        long width = DotKernel.PreparedFloats(plan.D);
                        for (int row = 0; row < count; row++) DotKernel.Widen<FloatF16>(rows + row * plan.Stride, plan.D, block + row * width);
                        Multiply<FloatF32>((byte*)block, width * sizeof(float), width, count, scores, next);
                        break;
                    case DType.F16:
                        Multiply<FloatF16>(rows, plan.Stride, plan.D, count, scores, next);
                        break;
                    default:
                        Multiply<FormatI8>(rows, plan.Stride, plan.D, count, scores, next);
                        break;
                }

                for (int query = 0; query < plan.Queries; query++) Collect(list + query, scores + (long)query * rowsPerBlock, first, count);
            }
        }

        private long Take() => (Interlocked.Increment(ref *next) - 1) * rowsPerBlock;

        private void Multiply<TFormat>(byte* rows, long stride, long d, int count, float* scores, byte* next)
            where TFormat : struct, IElementFormat
        {
            DotKernel.Multiply<TFormat>(rows, stride, count, queries, plan.Queries, d, scores, rowsPerBlock, next, count * plan.Stride);
            for (int query = 0; query < plan.Queries; query++)
            {
                if (units[query] == 1) continue;
                foreach (ref float score in new Span<float>(scores + (long)query * rowsPerBlock, count)) score *= units[query];
            }
        }

        private void MultiplyWhole(byte* rows, int count, short* block, float* scores, byte* next)
        {
            if (plan.Queries == 1)
            {
                CodeScan.Multiply((sbyte*)rows, plan.Stride, count, (short*)queries, units[0], plan.D, scores);
                return;
            }

            CodeScan.Widen((sbyte*)rows, plan.Stride, count, plan.D, block);
            CodeScan.Multiply(block, count, (short*)queries, units, plan.Queries, plan.D, scores, rowsPerBlock, next, count * plan.Stride);
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
            for (; i <= count - 16; i += 16)
            {
                Vector512<float> values = Vector512.Load(scores + i);
                if (scales != null) values *= Vector512.Load(scales + i);
                if (terms != null) values += Vector512.Load(terms + i);
                list->Add(values, (uint)(first + i));
            }

            for (; i < count; i++)
            {
                float value = scales == null ? scores[i] : scores[i] * scales[i];
                if (terms != null) value += terms[i];
                if (value >= list->Threshold) list->Add(value, (uint)(first + i));
            }
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
