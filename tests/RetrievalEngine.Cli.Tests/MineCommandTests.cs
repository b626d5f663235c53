using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;

namespace RetrievalEngine.Cli.Tests;

internal sealed class MineCommandTests
{
    private const string Corpus = "{\"_id\":\"d1\",\"text\":\"red cat\"}\n{\"_id\":\"d2\",\"text\":\"blue cat\"}\n" +
        "{\"_id\":\"d3\",\"text\":\"dog\"}\n{\"_id\":\"d4\",\"text\":\"red cat\"}\n";

    [Test]
    public async Task Bm25_FolderAndFilesAndRows_SameNegatives()
    {
        using TemporaryFiles files = new();
        files.Write("corpus.jsonl", Corpus);
        string queries = files.Write("queries.jsonl", "{\"_id\":\"q1\",\"text\":\"red cat\"}\n{\"_id\":\"q2\",\"text\":\"dog\"}\n");
        string qrels = files.Write("qrels.train.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t1\nq1\tabsent\t1\nq9\td1\t1\n");
        string[] common = ["mine", "--method", "bm25", "--corpus", files.Folder];
        CommandRun folder = await CommandRun.Of([.. common, "--train-data", files.Folder, "--output", files.PathOf("a"), "--json"]);
        CommandRun parts = await CommandRun.Of([.. common, "--queries", queries, "--qrels", qrels, "--output", files.PathOf("b")]);
        CommandRun rows = await CommandRun.Of([.. common, "--train-data", files.PathOf("a"), "--output", files.PathOf("c"), "--quiet"]);
        JsonElement row = JsonDocument.Parse(File.ReadAllLines(files.PathOf("a")).Single()).RootElement;
        JsonElement summary = JsonDocument.Parse(folder.Output).RootElement;
        Assert.Multiple(() =>
        {
            Assert.That(row.GetProperty("query_id").GetString(), Is.EqualTo("q1"));
            Assert.That(row.GetProperty("negative_passages").EnumerateArray().Single().GetProperty("docid").GetString(), Is.EqualTo("d2"));
            Assert.That(summary.GetProperty("rows_without_negatives").GetInt32(), Is.EqualTo(1));
            Assert.That(summary.GetProperty("duplicates_left_out").GetInt32(), Is.EqualTo(1));
            Assert.That(folder.Error, Does.Contain("warning: 1 judged queries are not in").And.Contain("warning: 1 relevant documents of"));
            Assert.That(parts.Output, Does.StartWith("1 rows with 1 negatives in "));
            Assert.That(File.ReadAllText(files.PathOf("b")), Is.EqualTo(File.ReadAllText(files.PathOf("a"))));
            Assert.That(File.ReadAllText(files.PathOf("c")), Is.EqualTo(File.ReadAllText(files.PathOf("a"))));
            Assert.That(rows.Error, Is.Empty);
        });
    }

    [Test]
    public async Task Run_NegativesAreItsBestByScore()
    {
        using TemporaryFiles files = new();
        string corpus = files.Write("corpus.jsonl", Corpus.Replace("\"d4\",\"text\":\"red cat\"", "\"d4\",\"text\":\"bird\"", System.StringComparison.Ordinal));
        string data = files.Write("train.jsonl", string.Concat(((string[])["q1", "q2"]).Select(q =>
            $$"""{"query_id":"{{q}}","query":"red cat","positive_passages":[{"docid":"d1","title":"","text":"red cat"}],"negative_passages":[]}""" + "\n")));
        // In no order, and without the second query.
        string found = files.Write("found.run", "q1 Q0 d3 1 1 x\nq1 Q0 d2 2 3 x\nq1 Q0 d1 3 2.5 x\nq1 Q0 d4 4 2 x\n");
        string[] mine = ["mine", "--run", found, "--corpus", corpus, "--train-data", data, "--quiet", "--output", files.PathOf("a")];
        Assert.That((await CommandRun.Of([.. mine, "--num-negatives", "2"])).ExitCode, Is.Zero);
        Assert.That(Negatives("a"), Is.EqualTo(new[] { "d2", "d4" }));
        Assert.That((await CommandRun.Of([.. mine, "--absolute-margin", "1"])).ExitCode, Is.Zero);
        Assert.That(Negatives("a"), Is.EqualTo(new[] { "d3" }), "at least 1 below the positive's 2.5");
        files.Write("found.run", "q1 Q0 absent 1 1 x\n");
        CommandRun bad = await CommandRun.Of(mine);
        Assert.That((bad.ExitCode, bad.Error.Contains("not in the corpus", System.StringComparison.Ordinal)), Is.EqualTo((ExitCodes.BadInput, true)));

        string?[] Negatives(string output) => [.. JsonDocument.Parse(File.ReadAllLines(files.PathOf(output)).Single()).RootElement.GetProperty("negative_passages").EnumerateArray()
            .Select(passage => passage.GetProperty("docid").GetString())];
    }

    [TestCase("--queries", "x")]
    [TestCase("--train-data", "x", "--queries", "y", "--qrels", "z")]
    [TestCase("--train-data", "absent.jsonl")]
    [TestCase("--train-data", "x", "--range-min", "100", "--range-max", "50")]
    [TestCase("--train-data", "x", "--relative-margin", "2")]
    public async Task BadOptions_Refused_NothingWritten(params string[] options)
    {
        using TemporaryFiles files = new();
        string corpus = files.Write("corpus.jsonl", Corpus), output = files.PathOf("out.jsonl");
        CommandRun run = await CommandRun.Of(["mine", "--method", "bm25", "--corpus", corpus, "--output", output, "--quiet", .. options]);
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error, Is.Not.Empty);
        Assert.That(Directory.GetFiles(files.Folder), Has.Length.EqualTo(1));
    }
}
