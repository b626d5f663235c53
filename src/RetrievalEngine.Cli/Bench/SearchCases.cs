using System;
using System.Collections.Generic;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cli.Bench;

/// <summary>Exact search: scores and the best k of each query in one pass over an index that lies in the backend's memory.</summary>
internal static class SearchCases
{
    // What of a device's free memory an index may take; the rest is for queries, results and what ops need themselves.
    private const double MemoryShare = 0.9;

    /// <summary>The cases at <paramref name="s"/>, with as many of the rows as fit into <paramref name="freeBytes"/>.</summary>
    public static IEnumerable<BenchCase> At(BenchShapes s, long? freeBytes)
    {
        int t = s.Tokens, h = s.Hidden;
        yield return new(nameof(IBackend.QuantizeRows), "to I8", $"{t} × {h}", DType.F32, 0, (sizeof(float) + 1.0) * t * h, data =>
        {
            (Tensor x, Tensor rows, Tensor scales) = (data.Normal(DType.F32, 1, t, h), data.New(DType.I8, t, h), data.New(DType.F32, t));
            return () => data.Backend.QuantizeRows(x, rows, scales);
        });
        foreach (DType dtype in (DType[])[DType.F16, DType.I8])
        {
            long rowBytes = (long)h * dtype.Size() + (dtype == DType.I8 ? sizeof(float) : 0);
            long rows = freeBytes is { } free ? Math.Min(s.IndexRows, (long)(MemoryShare * free) / rowBytes) : s.IndexRows;
            foreach (int queries in s.Queries)
                yield return Search(queries, rows, h, s.Depth, dtype, (double)rows * rowBytes);
        }
    }

    private static BenchCase Search(int queries, long count, int width, int k, DType dtype, double indexBytes)
    {
        double bytes = indexBytes + (sizeof(float) * (double)queries * width) + ((sizeof(float) + sizeof(long)) * (double)queries * k);
        return new(nameof(IBackend.ScoreTopK), queries == 1 ? "one query" : $"{queries} queries", $"{queries} × {count} × {width}, k {k}", dtype,
            2.0 * queries * count * width, bytes, data =>
        {
            (Tensor rows, Tensor scales) = data.Rows(dtype, count, width);
            (Tensor questions, Tensor scores, Tensor indices) =
                (data.Normal(DType.F32, 1, queries, width), data.New(DType.F32, queries, k), data.New(DType.I64, queries, k));
            return () => data.Backend.ScoreTopK(questions, rows, scales, default, 0, scores, indices, merge: false);
        });
    }
}
