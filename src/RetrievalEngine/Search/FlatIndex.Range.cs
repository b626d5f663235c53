using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;

namespace RetrievalEngine.Search;

public sealed partial class FlatIndex
{
    private const int FirstRange = 256, RangeGrowth = 8;

    /// <summary>
    /// All rows that score at least <paramref name="threshold"/> for each of <paramref name="queries"/> [Q, dimensions], the best first. Scores are those of
    /// <see cref="Search"/>: for <see cref="Metric.L2"/> minus the squared distances. Queries with many results are scanned more than once.
    /// </summary>
    /// <exception cref="ArgumentException">Queries or options do not fit the index, or the threshold is no number.</exception>
    /// <exception cref="OperationCanceledException">Stopped.</exception>
    public RangeResults SearchRange(ReadOnlySpan<float> queries, float threshold, SearchOptions? options = null, CancellationToken cancellation = default)
    {
        options ??= SearchOptions.Default;
        if (float.IsNaN(threshold)) throw new ArgumentException("the threshold is no number", nameof(threshold));
        int count = CheckQueries(queries, options);
        (float[] Scores, long[] Rows, SearchProof Proof)[] found = new (float[], long[], SearchProof)[count];
        Array.Fill(found, ([], [], SearchProof.Scanned));
        int[] open = Rows == 0 ? [] : [.. Enumerable.Range(0, count)];
        for (long k = Math.Min(FirstRange, Rows); open.Length > 0; k = Math.Min(k * RangeGrowth, Rows))
        {
            List<int> left = [];
            foreach (int[] some in open.Chunk(QueriesTogether((int)k)))
            {
                float[] part = new float[some.Length * Dimensions];
                for (int i = 0; i < some.Length; i++) queries.Slice(some[i] * Dimensions, Dimensions).CopyTo(part.AsSpan(i * Dimensions));
                long[] excluded = options.ExcludedRows.IsEmpty ? [] : [.. some.Select(q => options.ExcludedRows.Span[q])];
                SearchResults results = Search(part, (int)k, options with { ExcludedRows = excluded }, cancellation);
                for (int i = 0; i < some.Length; i++)
                {
                    int end = 0;
                    while (end < k && results.RowsOf(i)[end] >= 0 && results.ScoresOf(i)[end] >= threshold) end++;
                    if (end == k && k < Rows) left.Add(some[i]);
                    else found[some[i]] = (results.ScoresOf(i)[..end].ToArray(), results.RowsOf(i)[..end].ToArray(), results.Proofs[i]);
                }
            }

            open = [.. left];
        }

        return new RangeResults(found);
    }
}
