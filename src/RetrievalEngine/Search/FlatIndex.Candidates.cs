using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Search;

public sealed partial class FlatIndex
{
    /// <content>Searches whose scan finds candidates, which are scored again.</content>
    private sealed partial class Pass
    {
        // A product's rounding in float32, relative.
        private const double Rounding = 1.0 / (1 << 24), Smallest = 1.5e-45;

        // Codes pay where memory is the limit, for as many queries as share the reading, for more only in integers. A query's candidates cost as much as what codes
        // save it on so many rows for each result: the more queries share the reading, the less that is.
        private const int MostQueriesOfCodes = 32, LeastRowsAResult = 64, MostRowsAResult = 512, CodeGrowth = 8;

        // Lengths between these are squared and divided by without loss.
        private const double ShortestQuery = 1e-18, LongestQuery = 1e18;

        /// <summary>
        /// The scan gives t = q·x - |x|²/2 in float32, from which a distance |q|² - 2t of near vectors would lose its digits. So m ≥ k candidates get their
        /// distances by their differences. A row that is no candidate has a t of at most the last candidate's plus what rounding may add, E, so its distance
        /// is at least |q|² - 2(t + E): if that is above the k-th distance, no other row belongs to the result. Else m grows; with all rows nothing is open.
        /// |fl(q·x) - q·x| ≤ (D + 2) u |q| |x| for sums in any order, with u = 2⁻²⁴; scale and code of a row are rounded when they are decoded, its squared
        /// length when it is kept, the sum with it once more: E = u ((D + 8) |q| X + 2 X²), with X the largest |x|, and what may vanish below float32's
        /// smallest number.
        /// </summary>
        private SearchResults ByDistance(float[] queries, int k)
        {
            int dimensions = _index.Dimensions;
            SearchResults results = new(queries.Length / dimensions, k);
            int[] open = [.. Enumerable.Range(0, results.Queries)];
            for (long m = Math.Min(k + Math.Max(16L, k / 8), _index.Rows); open.Length > 0; m = Math.Min(4 * m, _index.Rows))
            {
                List<int> left = [];
                foreach (int[] some in open.Chunk(_index.QueriesTogether((int)m)))
                {
                    float[] part = Of(queries, some), scores = new float[some.Length * m];
                    long[] rows = new long[scores.Length];
                    Scan(_shards.Value, part, (int)m, scores, rows);
                    float[] last = [.. Enumerable.Range(1, some.Length).Select(end => scores[end * m - 1])];
                    Rescore(part, rows, scores);
                    for (int i = 0; i < some.Length; i++)
                    {
                        int q = some[i];
                        results.Rank(q, scores.AsSpan((int)(i * m), (int)m), rows.AsSpan((int)(i * m), (int)m), SearchProof.Proven);
                        double squares = UnitLength.SquaredNorm(queries.AsSpan(q * dimensions, dimensions)), longest = _index._longest;
                        double error = Rounding * ((dimensions + 8) * Math.Sqrt(squares) * longest + 2 * longest * longest) + dimensions * Smallest;
                        float best = (float)(2 * (last[i] + error * (1 + 1e-9)) - squares * (1 - 1e-12));
                        bool isOpen = m < _index.Rows && rows[(i + 1) * m - 1] >= 0 && !(best < results.ScoresOf(q)[^1]);
                        if (isOpen) left.Add(q);
                    }
                }

                open = [.. left];
            }

            return results;
        }

        private bool TakesCodes(int queries, int k) => _index._codes.Length > 0 && _options.Scan switch
        {
            ScanKind.Full => false,
            ScanKind.Codes => true,
            _ => (queries <= MostQueriesOfCodes || FixedPoint.IsQuick) && !_index._codesLose
                && (long)k * Math.Min((long)LeastRowsAResult * queries, MostRowsAResult) <= _index.Rows,
        };

        /// <summary>
        /// The m rows with the largest bounds are candidates. Those whose bound is below the k-th score found so far cannot belong to the result, the others get
        /// their scores; and if the k-th is above the last candidate's bound, no other row does. Else m grows, until reading the vectors is quicker.
        /// </summary>
        private SearchResults ByCodes(float[] queries, int k)
        {
            int dimensions = _index.Dimensions;
            SearchResults results = new(queries.Length / dimensions, k);
            double[] lengths = [.. Enumerable.Range(0, results.Queries).Select(q => Math.Sqrt(UnitLength.SquaredNorm(queries.AsSpan(q * dimensions, dimensions))))];
            List<int> lost = [.. Enumerable.Range(0, results.Queries).Where(q => !(lengths[q] is > ShortestQuery and < LongestQuery))];
            int[] open = [.. Enumerable.Range(0, results.Queries).Except(lost)];
            long most = Math.Max(_index.Rows / CodeGrowth, Math.Min(4L * k, _index.Rows));
            for (long m = Math.Min(4L * k + 512, _index.Rows); open.Length > 0; m = Math.Min(CodeGrowth * m, _index.Rows))
            {
                if (m > most && m > 4L * k + 512)
                {
                    lost.AddRange(open);
                    break;
                }

                List<int> left = [];
                foreach (int[] some in open.Chunk(_index.QueriesTogether((int)m))) left.AddRange(BoundAndScore(queries, lengths, some, (int)m, results));
                open = [.. left];
            }

            if (2 * lost.Count > results.Queries) _index._codesLose = true;
            foreach (int[] some in lost.Chunk(_index.QueriesTogether(k)))
            {
                SearchResults full = new(some.Length, k);
                Scan(_shards.Value, Of(queries, some), k, full.Scores, full.Rows);
                for (int i = 0; i < some.Length; i++)
                {
                    full.Proofs[i] = SearchProof.Rescanned;
                    full.Candidates[i] = results.Candidates[some[i]];
                    results.Take(some[i], full, i);
                }
            }

            return results;
        }

        /// <summary>Results of some queries from m candidates each; gives those that are still open.</summary>
        private IEnumerable<int> BoundAndScore(float[] queries, double[] lengths, int[] some, int m, SearchResults results)
        {
            int dimensions = _index.Dimensions, k = results.K;
            float[] part = Of(queries, some), units = new float[part.Length], bounds = new float[some.Length * m], scores = new float[some.Length * m];
            Parallel.For(0, some.Length, i => ScanCodes.Scale(part.AsSpan(i * dimensions, dimensions), lengths[some[i]], units.AsSpan(i * dimensions, dimensions)));
            long[] rows = new long[bounds.Length], wanted = new long[bounds.Length];
            Scan(_codes.Value, units, m, bounds, rows);

            // First the k best by bounds, whose least score is one that the result must reach; then the others that may reach it.
            int first = Math.Min(k, m);
            Array.Fill(wanted, -1);
            for (int i = 0; i < some.Length; i++) rows.AsSpan(i * m, first).CopyTo(wanted.AsSpan(i * m));
            Rescore(part, wanted, scores);
            Parallel.For(0, some.Length, i =>
            {
                Span<long> mine = wanted.AsSpan(i * m, m);
                float least = float.PositiveInfinity;
                for (int at = 0; at < first && mine[at] >= 0; at++) least = Math.Min(least, scores[i * m + at]);
                for (int at = first; at < m && rows[i * m + at] >= 0 && !(Largest(i, at) < least); at++) mine[at] = rows[i * m + at];
                mine[..first].Fill(-1);
            });

            Rescore(part, wanted, scores);
            bool[] open = new bool[some.Length];
            Parallel.For(0, some.Length, i =>
            {
                int q = some[i];
                Span<long> mine = wanted.AsSpan(i * m, m);
                rows.AsSpan(i * m, first).CopyTo(mine);
                results.Rank(q, scores.AsSpan(i * m, m), mine, SearchProof.Proven);
                bool areAll = m == _index.Rows || rows[(i + 1) * m - 1] < 0;
                open[i] = !areAll && !(Largest(i, m - 1) < results.ScoresOf(q)[^1]);
            });
            return some.Where((_, i) => open[i]);

            double Largest(int i, int at) => ScanCodes.LargestScore(bounds[i * m + at], lengths[some[i]], dimensions);
        }

        private float[] Of(float[] queries, int[] some)
        {
            int dimensions = _index.Dimensions;
            float[] part = new float[some.Length * dimensions];
            for (int i = 0; i < some.Length; i++) queries.AsSpan(some[i] * dimensions, dimensions).CopyTo(part.AsSpan(i * dimensions));
            return part;
        }

        /// <summary>Puts the results' scores of rows [Q, m], of which some are -1, in place of the scan's.</summary>
        private void Rescore(float[] queries, long[] rows, float[] scores)
        {
            for (int i = 0; i < _index._originals.Length; i++)
            {
                VectorShard shard = _index._originals[i];
                if (shard.IsBinary) RescoreBits(queries, shard, _index._firstRows[i], rows, scores);
                else HostRows.Score(queries, _index.Dimensions, shard.Rows, shard.Scales, _index._firstRows[i], rows, scores, IsDistance);
            }
        }

        /// <summary>The candidates are made bytes, each query's by themselves.</summary>
        private void RescoreBits(float[] queries, VectorShard shard, long firstRow, long[] rows, float[] scores)
        {
            int dimensions = _index.Dimensions, count = queries.Length / dimensions, m = rows.Length / count;
            using CpuMemory memory = new((long)m * (dimensions + sizeof(float)));
            Tensor scales = new(memory, 0, new Shape(m), DType.F32), signs = new(memory, (long)m * sizeof(float), new Shape(m, dimensions), DType.I8);
            long[] places = new long[m];
            for (int q = 0; q < count; q++)
            {
                for (int i = 0; i < m; i++)
                {
                    long row = rows[q * m + i] - firstRow;
                    places[i] = row < 0 || row >= shard.Rows.Shape[0] ? -1 : i;
                    if (places[i] < 0) continue;
                    SignBits.Widen(shard.Rows.Slice(row, 1).AsSpan<byte>(), dimensions, signs.Slice(i, 1).AsSpan<sbyte>());
                    scales.AsSpan<float>()[i] = shard.Scales.Slice(row, 1).AsSpan<float>()[0];
                }

                float[] some = scores[(q * m)..((q + 1) * m)];
                HostRows.Score(queries[(q * dimensions)..((q + 1) * dimensions)], dimensions, signs, scales, 0, places, some, IsDistance);
                some.CopyTo(scores, q * m);
            }
        }
    }
}
