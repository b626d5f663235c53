using System;
using System.Collections.Generic;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.TestKit;

/// <summary>The backends of this machine: <c>[TestFixtureSource(typeof(Backends), nameof(Backends.All))]</c>.</summary>
public static class Backends
{
    /// <summary>Set in a child process that repeats the op tests on another instruction set.</summary>
    public const string InstructionSetVariable = "RETRIEVAL_TEST_INSTRUCTION_SET";

    /// <summary>The instruction set that this process was started to test; null in an ordinary run.</summary>
    public static string? InstructionSet { get; } = Environment.GetEnvironmentVariable(InstructionSetVariable);

    /// <summary>Every backend; the first of a family is the one that the others are compared with, bit by bit.</summary>
    public static IReadOnlyList<TestBackend> All { get; } = InstructionSet is null ? [Cpu(1), Cpu(2)] : [Cpu(2)];

    private static TestBackend Cpu(int threads) =>
        new($"CPU {threads} {(threads == 1 ? "thread" : "threads")}", "CPU", 1, new Lazy<Compute.IBackend>(() => new CpuBackend(threads)));
}
