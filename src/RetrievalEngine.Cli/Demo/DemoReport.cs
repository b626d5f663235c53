using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Cli.Demo;

/// <summary>The demo's table: what each system found, whether that is more than the row above by more than chance, and what it took.</summary>
internal static class DemoReport
{
    private const string Mrr = "recip_rank_cut.10", Ndcg = "ndcg_cut.10", Recall = "recall.100";

    private static readonly string[] s_header = ["", "MRR@10", "nDCG@10", "Recall@100", "p, row above", "encode s", "search s", "tokens/s"];

    private static readonly Dictionary<string, string> s_titles = new()
    {
        ["bm25"] = "BM25",
        [DemoPlan.Random] = "random weights",
        [DemoPlan.Base] = "base",
        [DemoPlan.Tuned] = "tuned (base + LoRA)",
    };

    /// <summary>Prints the table and two sentences below it.</summary>
    public static void Print(DemoPlan plan, DemoState state, TextWriter output)
    {
        Qrels qrels = Qrels.Load(plan.Qrels);
        Evaluator evaluator = Evaluator.Create([Mrr, Ndcg, Recall], new EvaluationOptions { AllJudgedQueries = true });
        Evaluation.Evaluation[] evaluations = [.. DemoPlan.Systems.Select(s => evaluator.Evaluate(qrels, RunFile.Load(plan.Run(s))))];
        List<string[]> rows = [s_header];
        for (int i = 0; i < evaluations.Length; i++)
        {
            string system = DemoPlan.Systems[i];
            DemoRecord? encode = state.Records.FirstOrDefault(r => r.Name == $"{system} encode");
            rows.Add(
            [
                s_titles[system], Number(evaluations[i].Mean(Mrr), "F4"), Number(evaluations[i].Mean(Ndcg), "F4"), Number(evaluations[i].Mean(Recall), "F4"),
                i == 0 ? "" : PValue(evaluations[i - 1], evaluations[i], qrels), encode is null ? "" : Number(encode.Seconds, "F1"), Number(state[$"{system} search"].Seconds, "F1"),
                encode is null ? "" : Number(encode.Tokens / encode.ComputeSeconds, "N0"),
            ]);
        }

        int[] widths = [.. Enumerable.Range(0, s_header.Length).Select(c => rows.Max(r => r[c].Length))];
        foreach (string[] row in rows)
            output.WriteLine(string.Join("  ", row.Select((cell, c) => c == 0 ? cell.PadRight(widths[c]) : cell.PadLeft(widths[c]))).TrimEnd());
        DemoRecord train = state["train"];
        Evaluation.Evaluation bm25 = evaluations[0], tuned = evaluations[^1];
        output.WriteLine($"{qrels.Count} questions; p of nDCG@10, paired t-test, two-sided. Tuned against BM25: {Number(tuned.Mean(Ndcg) - bm25.Mean(Ndcg), "+0.0000;-0.0000")} nDCG@10, p {PValue(bm25, tuned, qrels)}.");
        output.WriteLine($"Fine-tuning: {train.Tokens / 1000} thousand tokens in {Number(train.ComputeSeconds, "F0")} s, {Number(train.Tokens / train.ComputeSeconds, "N0")} tokens/s. "
            + $"Everything: {DemoRunner.Time(state.Records.Sum(r => r.Seconds))} minutes.");
    }

    private static string PValue(Evaluation.Evaluation above, Evaluation.Evaluation row, Qrels qrels)
    {
        double p = RunComparison.Compare(above, row, qrels).Single(c => c.Measure == Ndcg.Replace('.', '_')).TTest.P;
        return p < 0.0001 ? p.ToString("0e+0", CultureInfo.InvariantCulture) : Number(p, "F4");
    }

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
