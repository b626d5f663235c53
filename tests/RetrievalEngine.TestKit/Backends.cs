using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Cuda;

namespace RetrievalEngine.TestKit;

/// <summary>The backends of this machine: <c>[TestFixtureSource(typeof(Backends), nameof(Backends.All))]</c>.</summary>
public static class Backends
{
    /// <summary>Set in a child process that repeats the op tests on another instruction set.</summary>
    public const string InstructionSetVariable = "RETRIEVAL_TEST_INSTRUCTION_SET";

    /// <summary>The instruction set that this process was started to test; null in an ordinary run.</summary>
    public static string? InstructionSet { get; } = Environment.GetEnvironmentVariable(InstructionSetVariable);

    /// <summary>
    /// Every backend; the first of a family is the one that the others are compared with, bit by bit. The CUDA backends are there where a device is, or the
    /// emulated driver (<see cref="CudaLibrary"/>).
    /// </summary>
    public static IReadOnlyList<TestBackend> All { get; } = InstructionSet is not null ? [Cpu(2)] : [Cpu(1), Cpu(2), .. Cuda()];

    /// <summary><see cref="All"/> without those that differ from another in the type of activations alone, for ops that have none.</summary>
    public static IEnumerable<TestBackend> WithoutActivations { get; } = [.. All.Where(backend => !(backend.Family is "CUDA BF16" or "CUDA F16"))];

    private static TestBackend Cpu(int threads) =>
        new($"CPU {threads} {(threads == 1 ? "thread" : "threads")}", "CPU", 1, new Lazy<IBackend>(() => new CpuBackend(threads)));

    // What is allowed beyond float32's errors follows from the arithmetic: a product of two floats is six of their bf16 parts, whose sums a tensor core does not
    // round to nearest; in 16 bits the sums are float32, but values between two products are rounded to 2^-9 (BF16) or 2^-12 (F16). The kernels for F16 are
    // those of BF16: small cases suffice.
    private static IEnumerable<TestBackend> Cuda()
    {
        double sums = CudaLibrary.IsEmulated ? 1e-6 : 1e-5;
        return CudaLibrary.Missing is not null ? [] : [Cuda(DType.F32, sums, sums, 2e8), Cuda(DType.BF16, 1e-5, 4e-3, 2e8), Cuda(DType.F16, 1e-5, 6e-4, 2e6)];
    }

    private static TestBackend Cuda(DType dtype, double productError, double roundingError, double emulatedWork) =>
        new($"CUDA {(CudaLibrary.IsEmulated ? "emulated " : "")}{dtype}", $"CUDA {dtype}", 1, new Lazy<IBackend>(() => CreateCuda(dtype)))
        {
            ProductError = productError,
            RoundingError = roundingError,
            MostWork = CudaLibrary.IsEmulated ? emulatedWork : double.PositiveInfinity,
        };

    private static CudaBackend CreateCuda(DType dtype) =>
        CudaBackend.TryCreate(0, dtype, out CudaBackend? backend, out string reason) ? backend : throw new InvalidOperationException(reason);
}
