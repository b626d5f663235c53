using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Cli;

/// <summary>The one place that names a backend.</summary>
internal static class BackendSelection
{
    /// <summary>The backend to compute with, on <paramref name="threads"/> threads; 0 for one a core.</summary>
    public static IBackend Create(int threads) => new CpuBackend(threads);
}
