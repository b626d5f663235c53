using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

namespace RetrievalEngine.Cli.Demo;

/// <summary>Runs the steps in this process, each under a line with its number, what it does, the time left for all, and the command to type for it.</summary>
internal static class DemoRunner
{
    /// <summary>Runs what <paramref name="state"/> does not have yet.</summary>
    /// <returns>The first exit code that is not 0, or 0.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<DemoStep> steps, DemoState state, CancellationToken stop)
    {
        double total = steps.Sum(s => s.Weight);
        for (int i = state.Records.Count; i < steps.Count; i++)
        {
            DemoStep step = steps[i];
            double done = steps.Take(i).Sum(s => s.Weight), seconds = state.Records.Sum(r => r.Seconds);
            // Before the first step nothing is known about this machine; the weights are seconds on two cores of the machine that docs/demo.md names.
            double left = i == 0 ? total : seconds / done * (total - done);
            await Console.Error.WriteLineAsync($"\n[{i + 1}/{steps.Count}] {step.Title} (about {Time(left)} left)\n  $ retrieval {string.Join(' ', step.Arguments.Select(Quote))}").ConfigureAwait(false);
            Stopwatch clock = Stopwatch.StartNew();
            (int code, string output) = await CaptureAsync(step.Arguments, stop).ConfigureAwait(false);
            if (code != ExitCodes.Done) return code;
            DemoRecord record = new(step.Name, clock.Elapsed.TotalSeconds);
            if (output.StartsWith('{'))
            {
                using JsonDocument json = JsonDocument.Parse(output);
                if (json.RootElement.TryGetProperty("tokens", out JsonElement tokens))
                    record = record with { Tokens = tokens.GetInt64(), ComputeSeconds = json.RootElement.GetProperty("seconds").GetDouble() };
            }
            else if (output.Length > 0)
            {
                await Console.Error.WriteLineAsync("  " + output.TrimEnd().ReplaceLineEndings("\n  ")).ConfigureAwait(false);
            }

            state.Add(record);
        }

        return ExitCodes.Done;
    }

    /// <summary>Runs <c>retrieval ARGUMENTS</c> and returns what it prints on standard output.</summary>
    public static async Task<(int Code, string Output)> CaptureAsync(IEnumerable<string> arguments, CancellationToken stop)
    {
        TextWriter console = Console.Out;
        using StringWriter output = new(CultureInfo.InvariantCulture);
        Console.SetOut(output);
        try
        {
            return (await Program.RunAsync([.. arguments], stop).ConfigureAwait(false), output.ToString());
        }
        finally
        {
            Console.SetOut(console);
        }
    }

    /// <summary><c>4:05</c></summary>
    public static string Time(double seconds) => string.Create(CultureInfo.InvariantCulture, $"{(int)seconds / 60}:{(int)seconds % 60:D2}");

    /// <summary>An argument as a shell wants it.</summary>
    public static string Quote(string argument) => argument.All(c => char.IsAsciiLetterOrDigit(c) || "-_./:=,".Contains(c, StringComparison.Ordinal)) ? argument : $"\"{argument}\"";
}
