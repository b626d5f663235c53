using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;
using RetrievalEngine.Verification;

namespace RetrievalEngine.Tests.Verification;

internal sealed class MetricsVerifierTests
{
    [Test]
    public void CommittedGolden_Agrees() => AllOk(CommittedFolder());

    [Test]
    public void SharedGolden_Agrees() => AllOk(SharedFolder.Require("goldens/metrics"));

    [TestCase("expected.jsonl", "\"map\": 0.1", "\"map\": 0.2", "map")]
    [TestCase("stats.json", "0.0324240007", "0.0324240008", "wilcoxon p")]
    [TestCase("sts.jsonl", "\"pearson\": -1.0", "\"pearson\": -0.9", "pearson")]
    [TestCase("expected.jsonl", "\"qid\": \"q1\"", "\"qid\": \"other\"", "map")]
    public void ChangedExpectation_Fails(string file, string old, string changed, string measure)
    {
        using TempFolder folder = new();
        foreach (string source in Directory.GetFiles(CommittedFolder())) File.Copy(source, folder.File(Path.GetFileName(source)));
        string path = folder.File(file), text = File.ReadAllText(path);
        Assert.That(text, Does.Contain(old));
        File.WriteAllText(path, text.Replace(old, changed));
        Assert.That(MetricsVerifier.Verify(folder.Path).Where(static i => i.Outcome == VerificationOutcome.Failed).Select(static i => i.Measure),
            Does.Contain(measure));
    }

    [TestCase("expected.jsonl")]
    [TestCase("sts.jsonl")]
    [TestCase("stats.json")]
    public void DamagedFolder_OnlyInputException(string file)
    {
        using TempFolder folder = new();
        foreach (string source in Directory.GetFiles(CommittedFolder())) File.Copy(source, folder.File(Path.GetFileName(source)));
        byte[] valid = File.ReadAllBytes(folder.File(file));
        Fuzz.Run(valid[..Math.Min(valid.Length, 20_000)], damaged =>
        {
            File.WriteAllBytes(folder.File(file), damaged);
            _ = MetricsVerifier.Verify(folder.Path).Count();
        }, rounds: 100);
    }

    private static string CommittedFolder() => Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "metrics");

    private static void AllOk(string folder)
    {
        Assert.That(MetricsVerifier.Recognises(folder), Is.True);
        List<VerificationItem> items = [.. MetricsVerifier.Verify(folder)];
        Assert.That(items, Has.Count.EqualTo(29));
        Assert.That(items.Select(static i => (i.Measure, i.Error, i.Outcome)),
            Is.All.Matches<(string, double Error, VerificationOutcome Outcome)>(static i => i.Outcome == VerificationOutcome.Ok && i.Error <= 1e-12));
    }
}
