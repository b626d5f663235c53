using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>devices</c>: what this machine can compute on.</summary>
internal static class DevicesCommand
{
    private const string Help = """
        Lists what this machine can compute on, with architectures and memory, and says what --device auto takes and why it does not take the rest.

        Examples:
          retrieval devices
          retrieval devices --json

        The driver is libcuda.so.1 (nvcuda.dll on Windows) or the file that RETRIEVAL_LIBCUDA names; kernels are those built into this program, or those
        in the folder that RETRIEVAL_KERNELS names. RETRIEVAL_DEVICE is the --device of every verb where it is not given.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<bool> json = CommonOptions.Json();
        Command command = new("devices", Help) { json };
        command.SetAction(parsed =>
        {
            IReadOnlyList<CudaDevice> devices = CudaDevice.List(out string none);
            List<Entry> entries = [];
            foreach (CudaDevice device in devices)
            {
                bool usable = CudaBackend.TryCreate(device.Ordinal, DType.F32, out CudaBackend? backend, out string reason);
                entries.Add(new Entry(device, usable ? backend!.FreeBytes : null, usable ? null : reason));
                backend?.Dispose();
            }

            using IBackend cpu = BackendSelection.OnCpu(threads: 0);
            bool gpu = entries.Count > 0 && entries[0].Reason is null;
            if (parsed.GetValue(json)) PrintJson(cpu, entries, none, gpu ? "cuda:0" : "cpu");
            else Print(cpu, entries, none, gpu ? "cuda:0" : "cpu");
            return ExitCodes.Done;
        });
        return command;
    }

    private static void Print(IBackend cpu, List<Entry> entries, string none, string auto)
    {
        Console.Out.WriteLine($"cpu     {cpu.Name}");
        foreach ((CudaDevice device, long? free, string? reason) in entries)
        {
            string memory = free is { } bytes ? $"{Gibibytes(bytes)} of {Gibibytes(device.TotalBytes)} GiB free" : $"{Gibibytes(device.TotalBytes)} GiB";
            Console.Out.WriteLine($"cuda:{device.Ordinal}  {device}, {memory}, CUDA {device.CudaVersion}{(reason is null ? "" : $"; cannot be used: {reason}")}");
        }

        if (entries.Count == 0) Console.Out.WriteLine($"cuda    none: {none}");
        Console.Out.WriteLine($"kernels {CudaBackend.Kernels}");
        Console.Out.WriteLine($"auto    {auto}");
    }

    private static void PrintJson(IBackend cpu, List<Entry> entries, string none, string auto) => JsonOutput.Print(writer =>
    {
        writer.WriteString("cpu", cpu.Name);
        writer.WriteStartArray("cuda");
        foreach ((CudaDevice device, long? free, string? reason) in entries)
        {
            writer.WriteStartObject();
            writer.WriteString("device", $"cuda:{device.Ordinal}");
            writer.WriteString("name", device.Name);
            writer.WriteString("architecture", device.Architecture);
            writer.WriteNumber("memory_bytes", device.TotalBytes);
            Optional(writer, "free_bytes", free);
            writer.WriteNumber("multiprocessors", device.Multiprocessors);
            writer.WriteString("cuda_version", device.CudaVersion);
            writer.WriteBoolean("usable", reason is null);
            if (reason is not null) writer.WriteString("reason", reason);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        if (entries.Count == 0) writer.WriteString("cuda_unavailable", none);
        writer.WriteString("kernels", CudaBackend.Kernels);
        writer.WriteString("auto", auto);
    });

    private static void Optional(Utf8JsonWriter writer, string name, long? value)
    {
        if (value is { } number) writer.WriteNumber(name, number);
    }

    private static string Gibibytes(long bytes) => (bytes / (double)(1L << 30)).ToString("F1", CultureInfo.InvariantCulture);

    private sealed record Entry(CudaDevice Device, long? FreeBytes, string? Reason);
}
