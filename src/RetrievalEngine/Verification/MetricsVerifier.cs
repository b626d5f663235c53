using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Verification;

/// <summary>
/// Checks evaluation against a folder with <c>qrels.txt</c>, <c>run.txt</c> and <c>expected.jsonl</c> (for each query its values by trec_eval's names), and,
/// where they are there, <c>sts.jsonl</c> (lists with their Spearman and Pearson correlations) and <c>stats.json</c> (paired t and Wilcoxon of two lists).
/// </summary>
public static class MetricsVerifier
{
    /// <summary>The largest error that is accepted, absolute for values up to 1 and relative above.</summary>
    public const double Tolerance = 1e-12;

    private const string ExpectedFile = "expected.jsonl";

    /// <summary>Whether <paramref name="folder"/> has this layout.</summary>
    public static bool Recognises(string folder) =>
        File.Exists(Path.Combine(folder, ExpectedFile)) && File.Exists(Path.Combine(folder, "qrels.txt")) && File.Exists(Path.Combine(folder, "run.txt"));

    /// <summary>Compares everything in <paramref name="folder"/>; one item for each measure (largest error over the queries) and each statistic.</summary>
    /// <exception cref="InputException">A file is malformed.</exception>
    public static IEnumerable<VerificationItem> Verify(string folder)
    {
        foreach (VerificationItem item in VerifyMeasures(folder)) yield return item;
        string sts = Path.Combine(folder, "sts.jsonl");
        if (File.Exists(sts))
        {
            foreach (VerificationItem item in VerifyCorrelations(sts)) yield return item;
        }

        string stats = Path.Combine(folder, "stats.json");
        if (File.Exists(stats))
        {
            foreach (VerificationItem item in VerifySignificance(stats)) yield return item;
        }
    }

    private static List<VerificationItem> VerifyMeasures(string folder)
    {
        string path = Path.Combine(folder, ExpectedFile);
        List<Dictionary<string, JsonElement>> rows = [.. ReadLines(path)];
        if (rows.Count == 0) throw new InputException($"{path} is empty");
        string[] measures = [.. rows[0].Keys.Where(static k => k != "qid")];
        Evaluator evaluator = Evaluator.Create([.. measures.Select(Family).GroupBy(static m => m.Name).Select(static g => Specification(g.Key, [.. g.Select(static m => m.Depth)]))]);
        Evaluation.Evaluation evaluation = evaluator.Evaluate(Qrels.Load(Path.Combine(folder, "qrels.txt")), RunFile.Load(Path.Combine(folder, "run.txt")));
        Dictionary<string, int> rowOf = evaluation.QueryIds.Select(static (q, i) => (q, i)).ToDictionary(static p => p.q, static p => p.i);
        Dictionary<string, double> errors = measures.ToDictionary(static m => m, static _ => 0.0);
        string? missing = rows.Count == rowOf.Count ? null : $"{rowOf.Count} queries evaluated, {rows.Count} expected";
        foreach (Dictionary<string, JsonElement> row in rows)
        {
            if (!rowOf.TryGetValue(Text(row, "qid", path), out int query))
            {
                missing = $"query {Text(row, "qid", path)} is expected but not evaluated";
                continue;
            }

            foreach (string measure in measures)
                errors[measure] = Math.Max(errors[measure], Difference(evaluation.PerQuery(measure)[query], Number(row, measure, path)));
        }

        return [.. measures.Select(m => Judge(path, m, errors[m], missing, $"{rows.Count} queries"))];
    }

    private static List<VerificationItem> VerifyCorrelations(string path)
    {
        double spearman = 0, pearson = 0;
        int count = 0;
        foreach (Dictionary<string, JsonElement> row in ReadLines(path))
        {
            double[] x = Numbers(row, "x", path), y = Numbers(row, "y", path);
            if (x.Length != y.Length) throw new InputException($"{path}: \"x\" has {x.Length} numbers but \"y\" has {y.Length}");
            spearman = Math.Max(spearman, Difference(Correlation.Spearman(x, y), Number(row, "spearman", path)));
            pearson = Math.Max(pearson, Difference(Correlation.Pearson(x, y), Number(row, "pearson", path)));
            count++;
        }

        return [Judge(path, "spearman", spearman, null, $"{count} lists"), Judge(path, "pearson", pearson, null, $"{count} lists")];
    }

    private static VerificationItem[] VerifySignificance(string path)
    {
        Dictionary<string, JsonElement> stats = Parse(File.ReadAllText(path), path);
        double[] a = Numbers(stats, "a", path), b = Numbers(stats, "b", path);
        if (a.Length != b.Length) throw new InputException($"{path}: \"a\" has {a.Length} numbers but \"b\" has {b.Length}");
        PairedTTest t = PairedTTest.Compute(a, b);
        WilcoxonSignedRankTest w = WilcoxonSignedRankTest.Compute(a, b);
        Dictionary<string, JsonElement> expectedT = Object(stats, "paired_t", path), expectedW = Object(stats, "wilcoxon", path);
        string note = $"{a.Length} pairs";
        return
        [
            Judge(path, "paired t", Difference(t.T, Number(expectedT, "t", path)), null, note),
            Judge(path, "paired t, p", Difference(t.P, Number(expectedT, "p", path)), null, note),
            Judge(path, "wilcoxon w", Difference(w.W, Number(expectedW, "w", path)), null, note),
            Judge(path, "wilcoxon p", Difference(w.P, Number(expectedW, "p", path)), null, note),
        ];
    }

    /// <summary>A printed name taken apart: <c>ndcg_cut_10</c> is <c>ndcg_cut</c> at 10, <c>map</c> has no depth.</summary>
    private static (string Name, string? Depth) Family(string printed)
    {
        int underscore = printed.LastIndexOf('_');
        return underscore > 0 && int.TryParse(printed.AsSpan(underscore + 1), out _) ? (printed[..underscore], printed[(underscore + 1)..]) : (printed, null);
    }

    private static string Specification(string name, string?[] depths) => depths[0] is null ? name : $"{name}.{string.Join(',', depths)}";

    private static VerificationItem Judge(string item, string measure, double error, string? problem, string note) => new(
        item, measure, error, Tolerance, problem is null && error <= Tolerance ? VerificationOutcome.Ok : VerificationOutcome.Failed, problem ?? note);

    private static double Difference(double actual, double expected)
    {
        if (double.IsNaN(actual) && double.IsNaN(expected)) return 0;
        double difference = Math.Abs(actual - expected) / Math.Max(1, Math.Abs(expected));
        return double.IsNaN(difference) ? double.PositiveInfinity : difference;
    }

    private static IEnumerable<Dictionary<string, JsonElement>> ReadLines(string path) =>
        File.ReadLines(path).Where(static line => line.Length > 0).Select((line, i) => Parse(line, $"{path} line {i + 1}"));

    private static Dictionary<string, JsonElement> Parse(string text, string where)
    {
        try
        {
            return JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(text) ?? throw new InputException($"{where}: a JSON object is needed");
        }
        catch (JsonException e)
        {
            throw new InputException($"{where}: not a JSON object ({e.Message})", e);
        }
    }

    private static JsonElement Field(Dictionary<string, JsonElement> row, string name, JsonValueKind kind, string where) =>
        row.TryGetValue(name, out JsonElement value) && value.ValueKind == kind ? value : throw new InputException($"{where}: field \"{name}\" is missing or not a {kind}");

    private static string Text(Dictionary<string, JsonElement> row, string name, string where) => Field(row, name, JsonValueKind.String, where).GetString()!;

    /// <summary>A number; null stands for undefined.</summary>
    private static double Number(Dictionary<string, JsonElement> row, string name, string where) =>
        row.TryGetValue(name, out JsonElement value) && value.ValueKind == JsonValueKind.Null ? double.NaN : Field(row, name, JsonValueKind.Number, where).GetDouble();

    private static double[] Numbers(Dictionary<string, JsonElement> row, string name, string where) =>
    [
        .. Field(row, name, JsonValueKind.Array, where).EnumerateArray().Select(e =>
            e.ValueKind == JsonValueKind.Number ? e.GetDouble() : throw new InputException($"{where}: field \"{name}\" holds something that is not a number")),
    ];

    private static Dictionary<string, JsonElement> Object(Dictionary<string, JsonElement> row, string name, string where) =>
        Field(row, name, JsonValueKind.Object, where).EnumerateObject().ToDictionary(static p => p.Name, static p => p.Value);
}
