namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.ScoreTopK"/> and gives the number of queries Q, of rows N, the elements D that count, and k.</summary>
    public static (long Q, long N, long D, long K) ScoreTopK(Tensor queries, Tensor rows, Tensor rowScales, Tensor rowTerms, long firstRow, Tensor scores,
        Tensor indices)
    {
        const string Op = nameof(ScoreTopK);
        Require(!queries.IsEmpty && queries.Shape.Rank == 2 && queries.DType == DType.F32, Op, $"queries is {queries} but must be F32 [Q, D]");
        (long q, long d) = (queries.Shape[0], queries.Shape[1]);
        Require(!rows.IsEmpty && rows.Shape.Rank == 2 && rows.Shape[1] >= d && (rows.DType.IsFloat() || rows.DType == DType.I8), Op,
            $"queries is {queries} but rows is {rows}; it must be [N, at least {d}] of a float type or I8");
        long n = rows.Shape[0];
        Require(rowScales.IsEmpty ? rows.DType != DType.I8 : rowScales.DType == DType.F32 && rowScales.Count == n, Op,
            $"rowScales is {rowScales} but must be F32 [{n}]{(rows.DType == DType.I8 ? "" : " or none")}");
        Require(rowTerms.IsEmpty || (rowTerms.DType == DType.F32 && rowTerms.Count == n), Op, $"rowTerms is {rowTerms} but must be F32 [{n}] or none");
        Require(firstRow >= 0 && firstRow <= long.MaxValue - n, Op, $"firstRow is {firstRow}");
        Require(!scores.IsEmpty && scores.Shape.Rank == 2 && scores.DType == DType.F32 && scores.Shape[0] == q, Op,
            $"scores is {scores} but must be F32 [{q}, k]");
        long k = scores.Shape[1];
        Require(!indices.IsEmpty && indices.DType == DType.I64 && indices.Shape == scores.Shape, Op,
            $"indices is {indices} but must be I64 [{q}, {k}]");
        return (q, n, d, k);
    }
}
