using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Verification;

/// <summary>
/// Checks evaluation against a folder with <c>qrels.txt</c>, <c>run.txt</c> and <c>expected.jsonl</c> (for each query its values by trec_eval's
/// names), and, where they are there, <c>sts.jsonl</c> (lists with their Spearman and Pearson correlations) and <c>stats.json</c> (paired t and
/// Wilcoxon of two lists).
/// </summary>
public static class MetricsVerifier
{
    /// <summary>The largest error that is accepted, absolute for values up to 1 and relative above.</summary>
    public const double Tolerance = 1e-12;

    private const string QrelsFile = "qrels.txt";
    private const string RunFileName = "run.txt";
    private const string ExpectedFile = "expected.jsonl";

    /// <summary>Whether <paramref name="folder"/> has this layout.</summary>
    public static bool Recognises(string folder) => new[] { QrelsFile, RunFileName, ExpectedFile }.All(f => File.Exists(Path.Combine(folder, f)));

    /// <summary>Compares everything in <paramref name="folder"/>: an item for each measure (largest error over queries) and each statistic.</summary>
    /// <exception cref="InputException">A file is malformed.</exception>
    public static IEnumerable<VerificationItem> Verify(string folder)
    {
        IEnumerable<VerificationItem> items = VerifyMeasures(folder);
        string sts = Path.Combine(folder, "sts.jsonl"), stats = Path.Combine(folder, "stats.json");
        if (File.Exists(sts)) items = items.Concat(VerifyCorrelations(sts));
        if (File.Exists(stats)) items = items.Concat(VerifySignificance(stats));
        return items;
    }

    private static List<VerificationItem> VerifyMeasures(string folder)
    {
        string path = Path.Combine(folder, ExpectedFile);
        List<JsonFields> rows = ReadLines(path);
        string[] measures = [.. rows[0].Names.Where(static name => name != "qid")];
        IEnumerable<string> specifications = measures
            .Select(Family)
            .GroupBy(static m => m.Name, static m => m.Depth)
            .Select(static depths => depths.First() is null ? depths.Key : $"{depths.Key}.{string.Join(',', depths)}");
        Evaluation.Evaluation evaluation = Evaluator.Create([.. specifications])
            .Evaluate(Qrels.Load(Path.Combine(folder, QrelsFile)), RunFile.Load(Path.Combine(folder, RunFileName)));
        string? unknown = measures.FirstOrDefault(m => evaluation.Measures.All(r => r.Name != m || !r.HasQueryValues || !r.IsNumber));
        if (unknown is not null) throw rows[0].Error(unknown, "is no measure that a query has one value of");
        Dictionary<string, int> rowOf = evaluation.QueryIds.Select(static (q, i) => (q, i)).ToDictionary(static p => p.q, static p => p.i);
        Dictionary<string, double> errors = measures.ToDictionary(static m => m, static _ => 0.0);
        string? problem = rows.Count == rowOf.Count ? null : $"{rowOf.Count} queries evaluated, {rows.Count} expected";
        foreach (JsonFields row in rows)
        {
            string query = row.Identifier("qid");
            if (!rowOf.TryGetValue(query, out int number))
            {
                problem = $"query {query} is expected but not evaluated";
                continue;
            }

            foreach (string measure in measures)
                errors[measure] = Math.Max(errors[measure], Difference(evaluation.PerQuery(measure)[number], Number(row, measure)));
        }

        return [.. measures.Select(m => Judge(path, m, errors[m], problem, $"{rows.Count} queries"))];
    }

    private static List<VerificationItem> VerifyCorrelations(string path)
    {
        double spearman = 0, pearson = 0;
        List<JsonFields> rows = ReadLines(path);
        foreach (JsonFields row in rows)
        {
            (double[] x, double[] y) = Pair(row, "x", "y");
            spearman = Math.Max(spearman, Difference(Correlation.Spearman(x, y), Number(row, "spearman")));
            pearson = Math.Max(pearson, Difference(Correlation.Pearson(x, y), Number(row, "pearson")));
        }

        string note = $"{rows.Count} lists";
        return [Judge(path, "spearman", spearman, null, note), Judge(path, "pearson", pearson, null, note)];
    }

    private static List<VerificationItem> VerifySignificance(string path)
    {
        JsonFields stats = JsonFields.Read(path);
        (double[] a, double[] b) = Pair(stats, "a", "b");
        PairedTTest t = PairedTTest.Compute(a, b);
        WilcoxonSignedRankTest w = WilcoxonSignedRankTest.Compute(a, b);
        JsonFields expectedT = stats.ObjectOrNull("paired_t") ?? throw stats.Error("paired_t", "is missing");
        JsonFields expectedW = stats.ObjectOrNull("wilcoxon") ?? throw stats.Error("wilcoxon", "is missing");
        string note = $"{a.Length} pairs";
        return
        [
            Judge(path, "paired t", Difference(t.T, Number(expectedT, "t")), null, note),
            Judge(path, "paired t, p", Difference(t.P, Number(expectedT, "p")), null, note),
            Judge(path, "wilcoxon w", Difference(w.W, Number(expectedW, "w")), null, note),
            Judge(path, "wilcoxon p", Difference(w.P, Number(expectedW, "p")), null, note),
        ];
    }

    /// <summary>A printed name taken apart: <c>ndcg_cut_10</c> is <c>ndcg_cut</c> at 10, <c>map</c> has no depth.</summary>
    private static (string Name, string? Depth) Family(string printed)
    {
        int underscore = printed.LastIndexOf('_');
        bool hasDepth = underscore > 0 && int.TryParse(printed.AsSpan(underscore + 1), out _);
        return hasDepth ? (printed[..underscore], printed[(underscore + 1)..]) : (printed, null);
    }

    private static VerificationItem Judge(string item, string measure, double error, string? problem, string note)
    {
        bool agrees = problem is null && error <= Tolerance;
        return new(item, measure, error, Tolerance, agrees ? VerificationOutcome.Ok : VerificationOutcome.Failed, problem ?? note);
    }

    private static double Difference(double actual, double expected)
    {
        if (double.IsNaN(actual) && double.IsNaN(expected)) return 0;
        double difference = Math.Abs(actual - expected) / Math.Max(1, Math.Abs(expected));
        return double.IsNaN(difference) ? double.PositiveInfinity : difference;
    }

    private static List<JsonFields> ReadLines(string path)
    {
        using Utf8LineReader reader = Utf8LineReader.Open(path);
        List<JsonFields> rows = [];
        while (reader.TryRead(out ReadOnlySpan<byte> line))
        {
            if (!line.IsEmpty) rows.Add(JsonFields.Parse(line, $"{path} line {reader.LineNumber}"));
        }

        return rows.Count > 0 ? rows : throw new InputException($"{path} is empty");
    }

    /// <summary>A number; null stands for undefined.</summary>
    private static double Number(JsonFields row, string name) => row.Number(name, double.NaN, double.MinValue, double.MaxValue);

    private static (double[] First, double[] Second) Pair(JsonFields row, string first, string second)
    {
        double[] a = Numbers(row, first), b = Numbers(row, second);
        return a.Length == b.Length ? (a, b) : throw row.Error(second, $"has {b.Length} numbers but \"{first}\" has {a.Length}");
    }

    private static double[] Numbers(JsonFields row, string name)
    {
        if (!row.TryGet(name, out JsonElement array) || array.ValueKind != JsonValueKind.Array) throw row.Error(name, "must be an array of numbers");
        return [.. array.EnumerateArray().Select(e => e.ValueKind == JsonValueKind.Number && e.TryGetDouble(out double number)
            ? number
            : throw row.Error(name, $"holds {JsonFields.Kind(e)} where a number is needed"))];
    }
}
