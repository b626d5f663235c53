namespace RetrievalEngine.Compute.Cpu;

/// <summary>Work that falls into numbered tasks which may run in any order, on any thread, each writing only what is its own.</summary>
internal interface IJob
{
    /// <summary>Does task <paramref name="task"/>.</summary>
    void Run(int task);
}
