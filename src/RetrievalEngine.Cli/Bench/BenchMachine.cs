using System;
using System.Globalization;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda;

namespace RetrievalEngine.Cli.Bench;

/// <summary>Where and when a run was made: without it numbers mean nothing later.</summary>
/// <param name="Version">Of this program, with its commit.</param>
/// <param name="Date">UTC.</param>
/// <param name="System">The operating system.</param>
/// <param name="Processor">The CPU's name.</param>
/// <param name="Cores">That this process may use.</param>
/// <param name="Backend">What computed, in words.</param>
/// <param name="DType">In which type.</param>
/// <param name="Gpu">The GPU; null where the CPU computed.</param>
internal sealed record BenchMachine(string Version, DateTime Date, string System, string Processor, int Cores, string Backend, DType DType, CudaDevice? Gpu)
{
    /// <summary>This machine with <paramref name="backend"/>.</summary>
    public static BenchMachine Of(IBackend backend) => new(
        typeof(BenchMachine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown", DateTime.UtcNow,
        RuntimeInformation.OSDescription, ProcessorName(), Environment.ProcessorCount, backend.Name, backend.ActivationDType, (backend as CudaBackend)?.Device);

    /// <summary>What decides speed, for the warning that two runs were made elsewhere: the GPU's name, else the CPU's and its cores.</summary>
    public string Hardware => Gpu?.Name ?? string.Create(CultureInfo.InvariantCulture, $"{Processor}, {Cores} cores");

    /// <summary>Writes its properties.</summary>
    public void Write(Utf8JsonWriter writer)
    {
        writer.WriteString("version", Version);
        writer.WriteString("date", Date.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture));
        writer.WriteStartObject("machine");
        writer.WriteString("hardware", Hardware);
        writer.WriteString("system", System);
        writer.WriteString("processor", Processor);
        writer.WriteNumber("cores", Cores);
        if (Gpu is not null)
        {
            writer.WriteString("gpu", Gpu.Name);
            writer.WriteString("architecture", Gpu.Architecture);
            writer.WriteNumber("multiprocessors", Gpu.Multiprocessors);
            writer.WriteNumber("clock_hertz", Gpu.ClockHertz);
            writer.WriteNumber("memory_bytes", Gpu.TotalBytes);
            writer.WriteString("cuda_version", Gpu.CudaVersion);
            writer.WriteString("kernels", CudaBackend.Kernels);
        }

        writer.WriteEndObject();
        writer.WriteString("backend", Backend);
        writer.WriteString("dtype", DType.ToString());
    }

    private static string ProcessorName()
    {
        const string Key = "model name", File = "/proc/cpuinfo";
        string? line = global::System.IO.File.Exists(File)
            ? global::System.IO.File.ReadLines(File).FirstOrDefault(l => l.StartsWith(Key, StringComparison.Ordinal)) : null;
        return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim()
            ?? Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? RuntimeInformation.ProcessArchitecture.ToString();
    }
}
