using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

namespace RetrievalEngine.Cli.Demo;

/// <summary>The verb <c>demo</c>: the whole way from documentation to a measured retriever, as a list of other verbs.</summary>
internal static class DemoCommand
{
    private const string Help = """
        Watch a small language model become a retriever on text that every .NET SDK carries, and be measured against BM25.

        Examples:
          retrieval demo
          retrieval demo --work /tmp/demo --threads 4

        Each step is a command that is shown before it runs. The work folder keeps everything, so that you can ask more afterwards. A demo that was
        stopped goes on where it was; one that was finished begins anew.
        """;

    // Fixed before anything was measured; the types that answer them are in the test part.
    private static readonly string[] s_questions =
    [
        "How do I convert a time from one time zone to another?",
        "Which lock lets several threads read but only one write?",
        "How do I start listening for incoming TCP connections?",
    ];

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> work = new("--work") { Description = "Folder for everything that is made", HelpName = "DIR", DefaultValueFactory = _ => Path.Combine("out", "demo") };
        Option<string?> documentation = DemoDataCommand.DocumentationOption();
        Option<int> threads = CommonOptions.Threads();
        Command command = new("demo", Help) { DemoDataCommand.Create(), work, documentation, threads };
        command.SetAction((parsed, stop) => RunAsync(new DemoPlan(parsed.GetRequiredValue(work), parsed.GetValue(documentation), parsed.GetValue(threads)), parsed.GetRequiredValue(work), stop));
        return command;
    }

    private static async Task<int> RunAsync(DemoPlan plan, string work, CancellationToken stop)
    {
        IReadOnlyList<DemoStep> steps = plan.Steps();
        DemoState state = DemoState.Open(work, steps);
        DemoBase.Extract(plan.Model(DemoPlan.Base));
        int code = await DemoRunner.RunAsync(steps, state, stop).ConfigureAwait(false);
        if (code != ExitCodes.Done) return code;

        Console.Out.WriteLine();
        DemoReport.Print(plan, state, Console.Out);
        foreach (string question in s_questions)
        {
            (code, string answer) = await DemoRunner.CaptureAsync([.. Ask(plan, question), "--depth", "3", "--json", "--quiet"], stop).ConfigureAwait(false);
            if (code != ExitCodes.Done) return code;
            Console.Out.WriteLine($"\n{question}");
            PrintHits(answer);
        }

        string program = Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) != "dotnet" ? Path.GetRelativePath(Environment.CurrentDirectory, path) : "retrieval";
        Console.Out.WriteLine($"\nAsk more:\n  {program} {string.Join(' ', Array.ConvertAll(Ask(plan, "your question"), DemoRunner.Quote))}");
        return ExitCodes.Done;
    }

    private static string[] Ask(DemoPlan plan, string question) => ["search", "--index", plan.Index(DemoPlan.Tuned), "--corpus", plan.Test, "--query", question];

    private static void PrintHits(string json)
    {
        using JsonDocument parsed = JsonDocument.Parse(json);
        int rank = 0;
        foreach (JsonElement hit in parsed.RootElement.GetProperty("hits").EnumerateArray())
        {
            string text = hit.GetProperty("text").GetString() ?? "";
            Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {++rank}. {hit.GetProperty("title").GetString()}  ({hit.GetProperty("score").GetDouble():F3})"));
            if (rank == 1) Console.Out.WriteLine($"     {(text.Length <= 120 ? text : string.Concat(text.AsSpan(0, 120), "…"))}");
        }
    }
}
