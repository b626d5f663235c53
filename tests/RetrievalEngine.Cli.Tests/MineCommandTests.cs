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
