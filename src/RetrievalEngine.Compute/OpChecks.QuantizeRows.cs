namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.QuantizeRows"/> and gives the number of rows N and their width D.</summary>
    public static (long N, long D) QuantizeRows(Tensor x, Tensor q, Tensor scales)
    {
        Require(!x.IsEmpty && x.Shape.Rank == 2 && x.DType == DType.F32, nameof(QuantizeRows), $"x is {x} but must be F32 [N, D]");
        (long n, long d) = (x.Shape[0], x.Shape[1]);
        Require(!q.IsEmpty && q.DType == DType.I8 && q.Shape == x.Shape, nameof(QuantizeRows), $"q is {q} but must be I8 [{n}, {d}]");
        Require(!scales.IsEmpty && scales.DType == DType.F32 && scales.Count == n, nameof(QuantizeRows), $"scales is {scales} but must be F32 [{n}]");
        return (n, d);
    }
}
