namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.Scale"/>.</summary>
    public static void Scale(Tensor source, Tensor destination)
    {
        RequireFloat(nameof(Scale), nameof(source), source);
        RequireLike(nameof(Scale), nameof(destination), destination, nameof(source), source);
    }
}
