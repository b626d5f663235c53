using System.Globalization;
using System.IO;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cli.Tests;

/// <summary>
/// The whole chain with a published encoder on real collections: encode, index, search, evaluate give the reference stack's figures.
/// </summary>
internal sealed class MiniLmTests
{
    private static readonly (string Trec, string Golden)[] Measures =
        [("ndcg_cut_10", "ndcg_cut_10"), ("recip_rank", "recip_rank"), ("recall_100", "recall_100"), ("map", "map")];

    [TestCase("adi")]
    [TestCase("cranfield")]
    public async Task Collection_MeasuresAsTheReference(string name)
    {
        string collection = SharedFolder.Require($"data/collections/{name}"), real = SharedFolder.Require("goldens/real");
        using TemporaryFiles files = new();
        string[] lengths = ["--query-max-len", "256", "--passage-max-len", "256", "--quiet"];
        await Done(["encode", "--model", Path.Combine(real, "model"), "--input", collection, "--output", files.PathOf("emb"), .. lengths]);
        await Done("index", "build", "--embeddings", files.PathOf("emb"), "--output", files.PathOf("idx"), "--quiet");
        await Done("search", "--index", files.PathOf("idx"), "--queries", collection, "--output", files.PathOf("run"), "--quiet");
        CommandRun evaluation = await CommandRun.Of(
            "evaluate", "--json", "-m", "ndcg_cut.10", "-m", "recip_rank", "-m", "recall.100", "-m", "map", Path.Combine(collection, "qrels.trec"),
                files.PathOf("run"));
        JsonElement measured = JsonDocument.Parse(evaluation.Output).RootElement.GetProperty("measures");
        JsonElement expected = JsonDocument.Parse(File.ReadAllText(Path.Combine(real, "expected.json"))).RootElement.GetProperty(name);
        foreach ((string trec, string golden) in Measures)
        {
            double value = measured.GetProperty(trec).GetDouble(), reference = expected.GetProperty(golden).GetDouble();
            TestContext.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name} {trec}: {value:F6}, reference {reference:F6}"));
            Assert.That(value, Is.EqualTo(reference).Within(0.0005), trec);
        }
    }

    private static async Task Done(params string[] args)
    {
        CommandRun run = await CommandRun.Of(args);
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((ExitCodes.Done, "")));
    }
}
