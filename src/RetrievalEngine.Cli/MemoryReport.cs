using System;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;

namespace RetrievalEngine.Cli;

/// <summary>What a run will take of a device's memory, said before it begins.</summary>
internal static class MemoryReport
{
    /// <summary>Prints the plan on standard error unless <paramref name="quiet"/>; does nothing on the host.</summary>
    /// <exception cref="InputException">The device has not that much.</exception>
    public static void Check(IBackend backend, bool quiet, Func<MemoryPlan> plan)
    {
        if (backend.FreeBytes is not { } free) return;
        MemoryPlan made = plan();
        if (!quiet) Console.Error.WriteLine($"memory: {made.Describe(free)}");
        made.Require(free, backend.Name);
    }
}
