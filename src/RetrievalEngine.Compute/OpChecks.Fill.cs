namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.Fill"/>.</summary>
    public static void Fill(Tensor destination) =>
        Require(!destination.IsEmpty && destination.DType == DType.F32, nameof(Fill), $"destination is {destination} but must be F32");
}
