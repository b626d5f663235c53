namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.Add"/>
    public void Add(Tensor a, Tensor b, Tensor destination)
    {
        OpChecks.Add(a, b, destination);
        Map(default(Sum), Floats(nameof(Add), a), Floats(nameof(Add), b), Floats(nameof(Add), destination), a.Count);
    }
}
