namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.SumOfSquares"/>.</summary>
    public static void SumOfSquares(Tensor x, Tensor result)
    {
        RequireFloat(nameof(SumOfSquares), nameof(x), x);
        RequireF32(nameof(SumOfSquares), nameof(result), result, 1);
    }
}
