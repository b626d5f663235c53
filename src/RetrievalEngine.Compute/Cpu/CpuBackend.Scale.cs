namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.Scale"/>
    public void Scale(Tensor source, float factor, Tensor destination)
    {
        OpChecks.Scale(source, destination);
        Map(new Times(factor), Floats(nameof(Scale), source), Floats(nameof(Scale), destination), source.Count);
    }
}
