using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda;

namespace RetrievalEngine.Cli.Bench;

/// <summary>The verb <c>bench</c>: every op at the shapes of real models, held against what the machine can do.</summary>
internal static class BenchCommand
{
    private const string Help = """
        Times every op at the shapes of real models and holds it against what the machine can do.

        Examples:
          retrieval bench
          retrieval bench --device cuda:0 --dtype bfloat16 --filter matmul,attention
          retrieval bench --json >before.json; (change something); retrieval bench --baseline before.json

        A line a case: the median time of many runs on random normal data, with the caches flushed before each; the rate (operations of products, else bytes that
        must be read and written at least); the floor, which is the time that the machine's peaks allow; and the share of the time that the floor is. On a GPU
        its own clock counts. Peaks: memory is measured (a GPU's by a copy, read plus written; the CPU's by reading); a CPU's float32 multiply-adds are measured;
        a GPU's products of 16-bit numbers are calculated from multiprocessors and clock, those of float32 are six of them. Both can be given.
        Presets: 7b (a Llama 2 7B at 8,192 tokens, an index of 8.8 million x 4,096), small (BERT-base, 2,048 tokens), tiny (for tests).
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string?> preset = new("--preset") { Description = "Shapes: 7b (default on a GPU), small (default on the CPU), tiny" };
        preset.AcceptOnlyFromAmong([.. BenchShapes.All.Select(shapes => shapes.Name)]);
        Option<string> filter = new("--filter")
        {
            Description = "Only ops whose name contains one of these, separated by commas",
            HelpName = "NAMES",
            DefaultValueFactory = _ => "",
        };
        Option<double> seconds = new("--seconds") { Description = "About how long each case is repeated", HelpName = "X", DefaultValueFactory = _ => 1 };
        seconds.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double>() is not (>= 0 and <= 3600)) result.AddError("--seconds must lie between 0 and 3600");
        });
        Option<double?> teraflops = Peak("--peak-tflops", "What the machine's products reach at best, in TFLOP/s, where that is known"),
            gigabytes = Peak("--peak-gbs", "What its memory reaches at best, in GB/s, where that is known");
        Option<string?> baseline = new("--baseline") { Description = "An earlier --json output to compare with", HelpName = "FILE" };
        BackendSelection device = new();
        Option<bool> quiet = CommonOptions.Quiet();
        Option<bool> json = CommonOptions.Json("Print the results as one JSON object; the lines go to standard error");
        Command command = new("bench", Help) { preset, filter, seconds, teraflops, gigabytes, baseline };
        foreach (Option option in device.All) command.Add(option);
        command.Add(quiet);
        command.Add(json);
        command.SetAction((parsed, stop) =>
        {
            BenchBaseline? before = parsed.GetValue(baseline) is { } path ? BenchBaseline.Load(path) : null;
            using IBackend backend = device.Create(parsed, parsed.GetValue(quiet));
            BenchShapes shapes = parsed.GetValue(preset) is { } name ? BenchShapes.Named(name) : BenchShapes.For(backend);
            TextWriter lines = parsed.GetValue(quiet) && parsed.GetValue(json) ? TextWriter.Null : parsed.GetValue(json) ? Console.Error : Console.Out;
            List<BenchCase> cases = Select(shapes, backend, parsed.GetValue(filter)!);
            using BenchClock clock = new(backend, parsed.GetValue(seconds), shapes.FlushBytes);
            BenchPeaks peaks = BenchPeaks.Of(backend, parsed.GetValue(teraflops), parsed.GetValue(gigabytes), clock, shapes.FlushBytes);
            BenchMachine machine = BenchMachine.Of(backend);
            lines.WriteLine($"{backend.Name}; {peaks}; preset {shapes.Name}");
            if (before is not null && before.Hardware != machine.Hardware)
                Console.Error.WriteLine($"warning: the baseline is from {before.Hardware}, this is {machine.Hardware}");
            List<BenchResult> results = Run(backend, cases, shapes, clock, peaks, before, lines, stop);
            if (parsed.GetValue(json)) JsonOutput.Print(writer => BenchReport.WriteJson(writer, machine, peaks, shapes.Name, results));
            return Task.FromResult(results.Exists(r => r.HasFailed) ? ExitCodes.CheckFailed : ExitCodes.Done);
        });
        return command;
    }

    /// <summary>
    /// The cases of all ops at <paramref name="s"/> with activations in <paramref name="dtype"/>, on a backend with <paramref name="freeBytes"/> of memory; null
    /// for no limit.
    /// </summary>
    public static IEnumerable<BenchCase> Cases(BenchShapes s, DType dtype, long? freeBytes) =>
    [
        .. EndCases.At(s, dtype), .. LayerCases.At(s, dtype), .. ProductCases.At(s, dtype), .. AttentionCases.At(s, dtype), .. SearchCases.At(s, freeBytes),
        TrainingCase.At(s, dtype),
    ];

    private static List<BenchCase> Select(BenchShapes shapes, IBackend backend, string filter)
    {
        string[] names = filter.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        List<BenchCase> all = [.. Cases(shapes, backend.ActivationDType, (backend as CudaBackend)?.FreeBytes)];
        List<BenchCase> selected = [.. all.Where(c => names.Length == 0 || names.Any(n => c.Op.Contains(n, StringComparison.OrdinalIgnoreCase)))];
        return selected.Count > 0 ? selected
            : throw new InputException($"--filter {filter}: no op is called so; there are {string.Join(", ", all.Select(c => c.Op).Distinct())}");
    }

    private static List<BenchResult> Run(IBackend backend, List<BenchCase> cases, BenchShapes shapes, BenchClock clock, BenchPeaks peaks,
        BenchBaseline? before, TextWriter lines, CancellationToken stop)
    {
        using BenchData data = new(backend, (long)shapes.Tokens * shapes.Inner);
        BenchReport.WriteHeader(lines, before is not null);
        List<BenchResult> results = [];
        foreach (BenchCase work in cases)
        {
            stop.ThrowIfCancellationRequested();
            double? floor = work.HasFloor ? peaks.Floor(work) : null;
            BenchResult result;
            try
            {
                (double median, double shortest, int runs) = clock.Measure(work.Prepare(data));
                result = new BenchResult(work, median, shortest, runs, floor, peaks.IsArithmetic(work), before?.Seconds(work));
            }
            catch (CudaException e)
            {
                result = new BenchResult(work, 0, 0, 0, floor, false, null, e.Message, HasFailed: !e.IsOutOfMemory);
            }

            data.Clear();
            results.Add(result);
            BenchReport.Write(lines, result);
        }

        return results;
    }

    private static Option<double?> Peak(string name, string description)
    {
        Option<double?> option = new(name) { Description = description, HelpName = "X" };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double?>() is { } value && value is not (> 0 and < 1e9)) result.AddError($"{name} must be a number above 0");
        });
        return option;
    }
}
