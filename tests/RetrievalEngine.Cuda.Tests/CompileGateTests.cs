using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>
/// What a machine without a GPU can know of the compiled kernels: they are there for every architecture, spill nothing, keep kernels/budgets.txt, and contain
/// the instructions that their speed rests on.
/// </summary>
[TestFixture]
[Category("Gate")]
internal sealed class CompileGateTests
{
    // Where instructions are counted: disassembling takes seconds a file, and they are the same choices everywhere.
    private static readonly string[] s_disassembled = ["sm_80", "sm_90", "sm_90a"];

    private static IEnumerable<TestCaseData> Files() =>
        Toolchain.Sources.Select(source => new TestCaseData(source).SetArgDisplayNames(Path.GetFileName(source)));

    [TestCaseSource(nameof(Files))]
    public void Kernels_keep_their_budgets(string source)
    {
        Toolchain.Require();
        string file = Path.GetFileNameWithoutExtension(source), fatbin = Toolchain.Fatbin(source);
        IReadOnlyList<CompiledKernel> kernels = CompiledKernel.Read(fatbin);
        KernelBudget[] budgets = [.. KernelBudget.Read(Path.Combine(CudaLibrary.Root!, "kernels", "budgets.txt")).Where(b => b.IsOf(file))];
        List<string> violations = [];

        string[] expected = source.Contains("hopper", StringComparison.Ordinal) ? ["sm_90a"] : ["sm_80", "sm_86", "sm_89", "sm_90"];
        string[] actual = [.. kernels.Select(k => k.Architecture).Distinct().Order(StringComparer.Ordinal)];
        if (!actual.SequenceEqual(expected)) violations.Add($"compiled for {string.Join(", ", actual)}, not for {string.Join(", ", expected)}");
        bool ptx = Toolchain.Dump("-lptx", fatbin).Any(line => line.Contains(".ptx", StringComparison.Ordinal));
        if (ptx != (expected.Length > 1)) violations.Add(ptx ? "holds PTX that later GPUs cannot run" : "holds no PTX for later GPUs");

        foreach (CompiledKernel k in kernels)
        {
            if (k.StackBytes + k.LocalBytes > 0) violations.Add($"{k.Name} for {k.Architecture} has a stack of {k.StackBytes} and {k.LocalBytes} local bytes");
            if (budgets.FirstOrDefault(b => b.Matches(file, k.Name)) is not { } budget)
                violations.Add($"{k.Name} has no row in budgets.txt; for {k.Architecture} it uses {k.Registers} registers and {k.SharedBytes} shared bytes");
            else if (k.Registers > budget.Registers) violations.Add($"{k.Name} for {k.Architecture} uses {k.Registers} registers, not {budget.Registers}");
            else if (k.SharedBytes > budget.SharedBytes + SystemSharedBytes(k))
                violations.Add($"{k.Name} for {k.Architecture} uses {k.SharedBytes} bytes of shared memory, not {budget.SharedBytes}");
        }

        foreach (string architecture in actual.Intersect(s_disassembled))
            violations.AddRange(InstructionViolations(file, fatbin, architecture, budgets));
        violations.AddRange(budgets.Except(kernels.Select(k => budgets.FirstOrDefault(b => b.Matches(file, k.Name))))
            .Select(b => $"budgets.txt: no kernel is left for {b!.Pattern}"));
        Assert.That(violations, Is.Empty, string.Join(Environment.NewLine, violations));
    }

    [Test]
    public void Budgets_name_files_that_exist()
    {
        if (Toolchain.Sources.Count == 0) Assert.Ignore("the sources are not here");
        string[] files = [.. Toolchain.Sources.Select(s => Path.GetFileNameWithoutExtension(s))];
        IReadOnlyList<KernelBudget> budgets = KernelBudget.Read(Path.Combine(CudaLibrary.Root!, "kernels", "budgets.txt"));
        Assert.That(budgets.Where(b => !files.Any(b.IsOf)).Select(b => b.Pattern), Is.Empty);
    }

    [Test]
    public void The_gate_sees_a_kernel_that_spills()
    {
        string nvcc = Path.Combine(Toolchain.Require(), "nvcc"), folder = Directory.CreateTempSubdirectory("gate").FullName;
        try
        {
            string source = Path.Combine(folder, "bad.cu"), fatbin = Path.Combine(folder, "bad.fatbin");
            File.WriteAllText(source, """
                extern "C" __global__ void bad(float* x, int n) {
                    float local[64];
                    for (int i = 0; i < 64; i++) local[i] = x[i];
                    for (int i = 0; i < n; i++) local[i * n & 63] += local[i];
                    x[threadIdx.x] = local[n];
                }
                """);
            using System.Diagnostics.Process process = System.Diagnostics.Process.Start(nvcc, ["-fatbin", "-arch=sm_80", "-o", fatbin, source]);
            process.WaitForExit();
            CompiledKernel kernel = CompiledKernel.Read(fatbin).Single();
            Assert.That(kernel.StackBytes + kernel.LocalBytes, Is.Positive);
            Assert.That(CompiledKernel.CountInstructions(fatbin, "sm_80")["bad"].Keys, Has.Some.StartsWith("STL"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // From sm_90 on ptxas reports a kilobyte that the system itself takes in every block.
    private static int SystemSharedBytes(CompiledKernel kernel) => kernel.Architecture.StartsWith("sm_9", StringComparison.Ordinal) ? 1024 : 0;

    private static IEnumerable<string> InstructionViolations(string file, string fatbin, string architecture, KernelBudget[] budgets)
    {
        foreach ((string name, Dictionary<string, int> counts) in CompiledKernel.CountInstructions(fatbin, architecture))
        {
            if (Count("LDL") + Count("STL") > 0) yield return $"{name} for {architecture} has {Count("LDL")} LDL and {Count("STL")} STL";
            foreach ((string instruction, int least) in budgets.FirstOrDefault(b => b.Matches(file, name))?.Instructions ?? new Dictionary<string, int>())
                if (Count(instruction) < least) yield return $"{name} for {architecture} has {Count(instruction)} {instruction}, not {least}";

            int Count(string beginning) =>
                counts.Where(c => c.Key == beginning || c.Key.StartsWith(beginning + ".", StringComparison.Ordinal)).Sum(c => c.Value);
        }
    }
}
