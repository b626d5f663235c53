using System;
using System.Collections.Generic;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.TestKit;

/// <summary>The backends of this machine: <c>[TestFixtureSource(typeof(Backends), nameof(Backends.All))]</c>.</summary>
public static class Backends
{
    /// <summary>Every backend; the first of a family is the one that the others are compared with, bit by bit.</summary>
    public static IReadOnlyList<TestBackend> All { get; } =
    [
        new("CPU 1 thread", "CPU", 1, new Lazy<Compute.IBackend>(() => new CpuBackend(1))),
        new("CPU 2 threads", "CPU", 1, new Lazy<Compute.IBackend>(() => new CpuBackend(2))),
    ];
}
