using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using RetrievalEngine.Evaluation;
using Spectre.Console;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>compare</c>: do two runs differ?</summary>
internal static class CompareCommand
{
    private const string Help = """
        Compares two runs query by query: means, difference, wins, and three significance tests (two-sided p-values).

        Examples:
          retrieval compare qrels.txt bm25.run tuned.run
          retrieval compare -c -m ndcg_cut.10 -m recip_rank_cut.10 qrels.txt bm25.run tuned.run
          retrieval compare --json qrels.txt bm25.run tuned.run

        The difference is RUN_B - RUN_A, a win is a query where RUN_B is better. t is the paired t-test, Wilcoxon the signed-rank test, Fisher the
        randomisation test (exact for up to 17 queries that differ, else 100,000 random permutations with a fixed seed). Queries that both runs have
        are compared; with -c all judged queries, one that a run lacks counting as 0.
        """;

    private static readonly string[] DefaultMeasures = ["map", "recip_rank", "ndcg_cut.10", "recall.100"];

    private static readonly string[] Columns =
        ["measure", "queries", "A", "B", "B - A", "wins", "losses", "ties", "p (t)", "p (Wilcoxon)", "p (Fisher)"];

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string[]> measures = new("-m", "--measure") { Description = "A measure as evaluate takes it; may be repeated", HelpName = "MEASURE" };
        Option<bool> complete = new("-c") { Description = "Compare over all judged queries" };
        Option<int> level = new("-l") { Description = "The smallest grade that is relevant", HelpName = "N", DefaultValueFactory = _ => 1 };
        Option<int?> depth = new("-M") { Description = "Look at the best N documents of each query only", HelpName = "N" };
        Option<bool> json = new("--json") { Description = "Print one JSON object with unrounded values" };
        Argument<string> qrelsPath = new("QRELS") { Description = "Judgements" };
        Argument<string> pathA = new("RUN_A") { Description = "The run to compare with" };
        Argument<string> pathB = new("RUN_B") { Description = "The run that may be better" };
        Command command = new("compare", Help) { measures, complete, level, depth, json, qrelsPath, pathA, pathB };
        command.SetAction(parsed =>
        {
            string[] wanted = parsed.GetValue(measures) is { Length: > 0 } given ? given : DefaultMeasures;
            bool all = parsed.GetValue(complete);
            Evaluator evaluator = Evaluator.Create(wanted, new EvaluationOptions
            {
                RelevanceLevel = parsed.GetValue(level),
                MaxRetrieved = parsed.GetValue(depth) ?? int.MaxValue,
                AllJudgedQueries = all,
            });
            Qrels qrels = Qrels.Load(parsed.GetRequiredValue(qrelsPath));
            RunFile a = RunFile.Load(parsed.GetRequiredValue(pathA)), b = RunFile.Load(parsed.GetRequiredValue(pathB));
            IReadOnlyList<RunComparison> comparisons =
                RunComparison.Compare(evaluator.Evaluate(qrels, a), evaluator.Evaluate(qrels, b), all ? qrels : null);
            if (comparisons.Count == 0)
                throw new InputException($"{string.Join(" ", wanted)} has no mean over queries to compare; try map or ndcg_cut.10");
            foreach (string ignored in evaluator.IgnoredMeasures)
                Console.Error.WriteLine($"warning: -m {ignored} has no effect; give all depths of a measure at once, as in recall.10,100");
            int alone = all ? 0 : qrels.QueryIds.Count(q => a.Contains(q) != b.Contains(q));
            if (alone > 0) Console.Error.WriteLine($"warning: {alone} judged queries are in one run only and left out (-c counts them as 0)");
            if (parsed.GetValue(json)) PrintJson(comparisons, a.Tag, b.Tag);
            else PrintTable(comparisons);
            return ExitCodes.Done;
        });
        return command;
    }

    private static void PrintTable(IReadOnlyList<RunComparison> comparisons)
    {
        IEnumerable<string[]> rows = comparisons.Select(static c => new[]
        {
            c.Measure, Count(c.Queries), Decimals(c.MeanA), Decimals(c.MeanB),
            (c.MeanB - c.MeanA).ToString("+0.0000;-0.0000;0.0000", CultureInfo.InvariantCulture),
            Count(c.Wins), Count(c.Losses), Count(c.Ties), PValue(c.TTest.P), PValue(c.Wilcoxon.P), PValue(c.Randomisation.P),
        });
        if (Console.IsOutputRedirected)
        {
            Console.Out.WriteLine(string.Join('\t', Columns));
            foreach (string[] row in rows) Console.Out.WriteLine(string.Join('\t', row));
            return;
        }

        Table table = new();
        foreach (string column in Columns)
            table.AddColumn(new TableColumn(column) { NoWrap = true, Alignment = column == Columns[0] ? Justify.Left : Justify.Right });
        foreach (string[] row in rows) table.AddRow(row);
        AnsiConsole.Write(table);
    }

    private static void PrintJson(IReadOnlyList<RunComparison> comparisons, string tagA, string tagB)
    {
        JsonOutput.Print(writer =>
        {
            writer.WriteString("run_a", tagA);
            writer.WriteString("run_b", tagB);
            writer.WriteStartObject("measures");
            foreach (RunComparison c in comparisons)
            {
                writer.WriteStartObject(c.Measure);
                writer.WriteNumber("queries", c.Queries);
                JsonNumbers.Write(writer, "mean_a", c.MeanA);
                JsonNumbers.Write(writer, "mean_b", c.MeanB);
                JsonNumbers.Write(writer, "difference", c.MeanB - c.MeanA);
                writer.WriteNumber("wins", c.Wins);
                writer.WriteNumber("losses", c.Losses);
                writer.WriteNumber("ties", c.Ties);
                JsonNumbers.Write(writer, "t", c.TTest.T);
                JsonNumbers.Write(writer, "t_p", c.TTest.P);
                JsonNumbers.Write(writer, "wilcoxon_w", c.Wilcoxon.W);
                JsonNumbers.Write(writer, "wilcoxon_p", c.Wilcoxon.P);
                JsonNumbers.Write(writer, "fisher_p", c.Randomisation.P);
                writer.WriteNumber("fisher_permutations", c.Randomisation.Permutations);
                writer.WriteBoolean("fisher_exact", c.Randomisation.IsExact);
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        });
    }

    private static string Count(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Decimals(double value) => value.ToString("F4", CultureInfo.InvariantCulture);

    private static string PValue(double p) => double.IsNaN(p) ? "-" : p < 0.0001 ? p.ToString("0.0e+0", CultureInfo.InvariantCulture) : Decimals(p);
}
