namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.Cast"/>.</summary>
    public static void Cast(Tensor source, Tensor destination)
    {
        Require(!source.IsEmpty && !destination.IsEmpty, nameof(Cast), "source and destination must be given");
        Require(
            source.DType.IsFloat() && destination.DType.IsFloat() && source.Count == destination.Count, nameof(Cast),
            $"source is {source} and destination {destination}; they must be of float types and have as many elements");
    }
}
