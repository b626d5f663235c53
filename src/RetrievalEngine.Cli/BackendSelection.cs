using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Cuda;
using RetrievalEngine.Encoding;
using RetrievalEngine.Verification;

namespace RetrievalEngine.Cli;

/// <summary>What a verb computes on: the options <c>--device</c>, <c>--dtype</c> and <c>--threads</c>. The one place that names a backend.</summary>
internal sealed class BackendSelection
{
    /// <summary>The environment variable that says what <c>--device</c> is where it is not given.</summary>
    public const string DeviceVariable = "RETRIEVAL_DEVICE";

    private const string Auto = "auto", Cpu = "cpu", Cuda = "cuda";
    private readonly DType _cudaDType;
    private readonly Option<string> _device;
    private readonly Option<string?> _dtype;
    private readonly Option<int> _threads = CommonOptions.Threads();

    /// <summary>The options of a verb that on a GPU computes in <paramref name="cudaDType"/> where nothing else is asked for.</summary>
    public BackendSelection(DType cudaDType = DType.BF16)
    {
        _cudaDType = cudaDType;
        _device = new Option<string>("--device")
        {
            Description = "cpu, cuda, cuda:N, or auto: a GPU if it can be used, else the CPU",
            HelpName = "DEVICE",
            DefaultValueFactory = _ => Environment.GetEnvironmentVariable(DeviceVariable) is { Length: > 0 } name ? name : Auto,
        };
        _device.Validators.Add(result =>
        {
            if (!TryParse(result.GetValueOrDefault<string>(), out _)) result.AddError("--device is cpu, cuda, cuda:N or auto");
        });
        _dtype = new Option<string?>("--dtype")
        {
            Description = $"What a GPU computes in: float32, bfloat16, float16 (default {EmbeddingManifest.DTypeName(cudaDType)}); the CPU: float32",
            HelpName = "TYPE",
        };
        _dtype.AcceptOnlyFromAmong("float32", "bfloat16", "float16");
    }

    /// <summary>The options, to add to the verb.</summary>
    public IEnumerable<Option> All => [_device, _dtype, _threads];

    /// <summary>A CPU backend, for what is done in float32 only; 0 threads for one a core.</summary>
    public static IBackend OnCpu(int threads) => new CpuBackend(threads);

    /// <summary>How near to a reference <paramref name="backend"/> comes.</summary>
    public static VerificationTolerances Tolerances(IBackend backend) =>
        backend is CpuBackend ? VerificationTolerances.Float32 : VerificationTolerances.Gpu(backend.ActivationDType);

    /// <summary>What <c>--threads</c> says.</summary>
    public int Threads(ParseResult parsed) => parsed.GetValue(_threads);

    /// <summary>
    /// The backend that was asked for. Where nothing particular was, and a GPU is there but cannot be used, one line on standard error says why, unless
    /// <paramref name="quiet"/>.
    /// </summary>
    /// <exception cref="InputException">The GPU that was asked for by name cannot be used, or the CPU cannot do what was asked.</exception>
    public IBackend Create(ParseResult parsed, bool quiet)
    {
        string device = parsed.GetValue(_device)!;
        DType? wanted = parsed.GetValue(_dtype) is { } name ? EmbeddingManifest.ParseDType(name) : null;
        if (device != Cpu)
        {
            _ = TryParse(device, out int ordinal);
            if (CudaBackend.TryCreate(ordinal, wanted ?? _cudaDType, out CudaBackend? backend, out string reason)) return backend;
            if (device != Auto) throw new InputException($"--device {device}: {reason}");
            // Most machines have no GPU, and who did not ask for one need not hear of it.
            if (!quiet && (IsGiven(parsed) || CudaDevice.List(out _).Count > 0)) Console.Error.WriteLine($"CUDA backend unavailable: {reason}; using the CPU");
        }
        else if (wanted is not (null or DType.F32))
        {
            throw new InputException($"--dtype {parsed.GetValue(_dtype)} is for GPUs; the CPU computes in float32");
        }

        return OnCpu(Threads(parsed));
    }

    /// <summary>The ordinal in <c>cuda:N</c>; 0 for the others.</summary>
    private static bool TryParse([NotNullWhen(true)] string? device, out int ordinal)
    {
        ordinal = 0;
        return device is Auto or Cpu or Cuda
            || (device?.StartsWith(Cuda + ":", StringComparison.Ordinal) == true
                && int.TryParse(device.AsSpan(Cuda.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ordinal));
    }

    private bool IsGiven(ParseResult parsed) => parsed.GetResult(_device) is { Implicit: false };
}
