using System;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;

namespace RetrievalEngine.Cli.Tests;

internal sealed class SearchCommandTests
{
    private const string Corpus = "{\"_id\":\"d1\",\"title\":\"Cats\",\"text\":\"cats and\\ndogs\"}\n{\"_id\":\"d2\",\"text\":\"cats\"}\n" +
        "{\"_id\":\"d3\",\"text\":\"\"}\n";

    [Test]
    public async Task Bm25_Queries_WritesTheRun()
    {
        using TemporaryFiles files = new();
        string corpus = files.Write("corpus.jsonl", Corpus), queries = files.Write("queries.tsv", "q1\tdogs?\nq2\tcats\nq3\tbirds\n");
        CommandRun toFile = await CommandRun.Of(
            "search", "--method", "bm25", "--corpus", files.Folder, "--queries", queries, "--output", files.PathOf("out.run"), "--threads", "2");
        CommandRun toConsole = await CommandRun.Of("search", "--method", "bm25", "--corpus", corpus, "--queries", queries, "--depth", "1", "--quiet");
        string[] lines = await System.IO.File.ReadAllLinesAsync(files.PathOf("out.run"));
        Assert.Multiple(() =>
        {
            Assert.That(toFile.ExitCode, Is.EqualTo(ExitCodes.Done), toFile.Error);
            Assert.That(
                lines.Select(static l => string.Join(' ', l.Split(' ')[..4])),
                Is.EqualTo(new[] { "q1 Q0 d1 1", "q2 Q0 d1 1", "q2 Q0 d2 2" }));
            Assert.That(toConsole.Output, Is.EqualTo($"{lines[0]}\n{lines[1]}\n"));
            Assert.That(toFile.Error, Is.EqualTo("warning: 1 documents have no text" + Environment.NewLine));
            Assert.That(toConsole.Error, Is.Empty);
        });
    }

    [Test]
    public async Task Bm25_OneQuery_PrintsRankScoreIdTitleAndText()
    {
        using TemporaryFiles files = new();
        string corpus = files.Write("corpus.jsonl", Corpus);
        CommandRun text = await CommandRun.Of("search", "--method", "bm25", "--corpus", corpus, "--query", "dogs", "--quiet");
        CommandRun json = await CommandRun.Of("search", "--method", "bm25", "--corpus", corpus, "--query", "dogs", "--quiet", "--json");
        JsonElement hit = JsonDocument.Parse(json.Output).RootElement.GetProperty("hits")[0];
        Assert.Multiple(() =>
        {
            Assert.That(text.Output.Trim(), Does.Match("^1\t0\\.[0-9]{4}\td1\tCats\tcats and dogs$"));
            Assert.That(hit.GetProperty("id").GetString(), Is.EqualTo("d1"));
            Assert.That(hit.GetProperty("text").GetString(), Is.EqualTo("cats and\ndogs"));
        });
    }

    [TestCase("--query", "x", "--queries", "y")]
    [TestCase("--depth", "5")]
    [TestCase("--query", "x", "--depth", "0")]
    [TestCase("--query", "x", "--bm25-b", "1.5")]
    [TestCase("--query", "x", "--output", "run")]
    public async Task BadOptions_Refused(params string[] options)
    {
        using TemporaryFiles files = new();
        CommandRun run = await CommandRun.Of(["search", "--method", "bm25", "--corpus", files.Write("corpus.jsonl", Corpus), .. options]);
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error, Is.Not.Empty);
    }

    [Test]
    public async Task BadCorpus_NamesFileLineAndField()
    {
        using TemporaryFiles files = new();
        string corpus = files.Write("corpus.jsonl", "{\"_id\":\"d1\",\"text\":\"a\"}\n{\"_id\":\"d2\"}\n");
        CommandRun run = await CommandRun.Of("search", "--method", "bm25", "--corpus", corpus, "--query", "x", "--quiet");
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error.Trim(), Is.EqualTo($"retrieval: {corpus} line 2: field \"text\" is missing"));
    }
}
