using System;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Tests.Evaluation;

internal sealed class EvaluatorTests
{
    // Values that trec_eval 9.0.8 printed for hand-made cases.
    [TestCase("a0 b1 c0", "a=1 b=1 c=1", "recip_rank", 0.5)]
    [TestCase("a0 b1 c0", "a=1 b=1 c=1", "ndcg_cut.10", 0.6309)]
    [TestCase("a1", "a=.87654321 z=.87654320", "recip_rank", 1.0)]
    [TestCase("10:1", "10=2 9=2", "recip_rank", 0.5)]
    [TestCase("a1 b2 c0", "a=3 b=2 c=1", "ndcg_cut.10", 0.8597)]
    [TestCase("a1 b1 c1", "a=1", "ndcg_cut.1", 1.0)]
    [TestCase("a1 b1 c1", "a=1", "ndcg_cut.2", 0.6131)]
    [TestCase("a1 b1 c1", "a=1", "ndcg_cut.10", 0.4693)]
    [TestCase("a1 b1 c1", "a=1", "map_cut.10", 0.3333)]
    [TestCase("a1 b1", "x=3 a=2 b=1", "recip_rank_cut.1", 0.0)]
    [TestCase("a1 b1", "x=3 a=2 b=1", "recip_rank_cut.2", 0.5)]
    public void OneQuery_TrecEvalsValue(string grades, string documents, string measure, double expected) =>
        Assert.That(Evaluate(grades, documents, new EvaluationOptions(), measure), Is.EqualTo(expected).Within(0.00005));

    [TestCase(1, "map", 1.0)]
    [TestCase(2, "map", 0.5)]
    [TestCase(1, "P.1", 1.0)]
    [TestCase(2, "P.1", 0.0)]
    [TestCase(2, "ndcg_cut.10", 0.8597)]
    public void RelevanceLevel_CountsForBinaryMeasuresOnly(int level, string measure, double expected) =>
        Assert.That(
            Evaluate("a1 b2 c0", "a=3 b=2 c=1", new EvaluationOptions { RelevanceLevel = level }, measure), Is.EqualTo(expected).Within(0.00005));

    [TestCase("map", 0.25)]
    [TestCase("recall.1000", 0.5)]
    public void MaxRetrieved_CutsAfterSorting(string measure, double expected) =>
        Assert.That(Evaluate("a1 b1", "b=1 x=3 a=2", new EvaluationOptions { MaxRetrieved = 2 }, measure), Is.EqualTo(expected));

    [Test]
    public void JudgedOnly_TakesUnjudgedDocumentsOut() =>
        Assert.That(Evaluate("a1 b0 n-1", "x=9 n=8 b=7 a=6", new EvaluationOptions { JudgedOnly = true }, "recip_rank"), Is.EqualTo(0.5));

    [Test]
    public void MissingQueries_CountOnlyWhereAllJudgedQueriesAreWanted()
    {
        Qrels qrels = new();
        qrels.TryAdd("q1", "a", 1);
        qrels.TryAdd("q2", "a", 1);
        RunFile run = Run("q1", "a=1");
        run.Add("not judged", [new ScoredDocument("a", 1)]);
        Assert.Multiple(() =>
        {
            Assert.That(Evaluator.Create(["map"]).Evaluate(qrels, run).Mean("map"), Is.EqualTo(1));
            Assert.That(Evaluator.Create(["map"], new EvaluationOptions { AllJudgedQueries = true }).Evaluate(qrels, run).Mean("map"),
                Is.EqualTo(0.5));
        });
    }

    [Test]
    public void QueriesAndTies_FollowUtf8ByteOrder()
    {
        // U+10000 is above U+FFEE in UTF-8, but its first UTF-16 unit is below.
        string[] ids = ["\U00010000", "￮", "é", "z", "a"];
        Qrels qrels = new();
        RunFile run = new("t");
        foreach (string id in ids)
        {
            qrels.TryAdd(id, "\U00010000", 1);
            run.Add(id, ids.Select(static d => new ScoredDocument(d, 1)));
        }

        RetrievalEngine.Evaluation.Evaluation evaluation = Evaluator.Create(["recip_rank"]).Evaluate(qrels, run);
        Assert.That(evaluation.QueryIds, Is.EqualTo(ids.Reverse()));
        Assert.That(evaluation.PerQuery("recip_rank"), Is.All.EqualTo(1));
    }

    [Test]
    public void Mean_UnknownMeasure_NamesWhatThereIs()
    {
        RetrievalEngine.Evaluation.Evaluation evaluation = Evaluator.Create(["ndcg_cut.10,20"]).Evaluate(Judge("q", "a1"), Run("q", "a=1"));
        Assert.That(evaluation.Mean("ndcg_cut.20"), Is.EqualTo(evaluation.Mean("ndcg_cut_20")));
        Assert.That(() => evaluation.Mean("map"), Throws.ArgumentException.With.Message.Contains("ndcg_cut_10 ndcg_cut_20"));
    }

    [Test]
    public void NoCommonQuery_Refused() =>
        Assert.That(
            () => Evaluator.Create([]).Evaluate(Judge("q1", "a1"), Run("q2", "a=1")),
            Throws.TypeOf<InputException>().With.Message.Contains("no query is in both"));

    [Test]
    public void RepeatedMeasure_FirstParametersCount()
    {
        Evaluator evaluator = Evaluator.Create(["P.5", "P.10", "map.3"]);
        Assert.That(evaluator.IgnoredMeasures, Is.EqualTo(new[] { "P.10", "map.3" }));
        Assert.That(evaluator.Evaluate(Judge("q", "a1"), Run("q", "a=1")).Measures.Select(static m => m.Name), Is.EqualTo(new[] { "map", "P_5" }));
    }

    [TestCase("P.5,5", "given twice")]
    [TestCase("P.x", "is not a number")]
    [TestCase("P.", "parameters are missing")]
    [TestCase("P.0", "a depth must be 1 or more")]
    [TestCase("ndcg.3", "is not grade=gain")]
    [TestCase("utility.1,2", "takes 4 numbers")]
    [TestCase("prefs", "there is no measure")]
    public void BadMeasure_Refused(string measure, string message) =>
        Assert.That(() => Evaluator.Create([measure]), Throws.TypeOf<InputException>().With.Message.Contains(message));

    [Test]
    public void ManyQueries_ThousandDocumentsEach_TakesSeconds()
    {
        Qrels qrels = new();
        RunFile run = new("t");
        for (int q = 0; q < 200; q++)
        {
            qrels.TryAdd($"{q}", "500", 1);
            run.Add($"{q}", Enumerable.Range(0, 1000).Select(static d => new ScoredDocument($"{d}", -d)));
        }

        Assert.That(Evaluator.Create(["all_trec"]).Evaluate(qrels, run).Mean("recip_rank"), Is.EqualTo(1.0 / 501).Within(1e-15));
    }

    private static double Evaluate(string grades, string documents, EvaluationOptions options, string measure) =>
        Evaluator.Create([measure], options).Evaluate(Judge("q", grades), Run("q", documents)).Mean(measure);

    private static Qrels Judge(string query, string grades)
    {
        Qrels qrels = new();
        foreach (string grade in grades.Split(' '))
        {
            string[] parts = grade.Contains(':', StringComparison.Ordinal) ? grade.Split(':') : [grade[..1], grade[1..]];
            qrels.TryAdd(query, parts[0], int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture));
        }

        return qrels;
    }

    private static RunFile Run(string query, string documents)
    {
        string text = string.Join('\n', documents.Split(' ').Select(d => $"{query} Q0 {d.Replace("=", " 1 ", StringComparison.Ordinal)} t"));
        using Utf8LineReader reader = new(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text)), "run");
        return RunFile.Read(reader);
    }
}
