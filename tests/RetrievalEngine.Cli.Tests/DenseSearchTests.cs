using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;
using static RetrievalEngine.Cli.Tests.CommandRun;

namespace RetrievalEngine.Cli.Tests;

/// <summary><c>search --index</c> as a user meets it.</summary>
internal sealed class DenseSearchTests
{
    private TemporaryFiles _files = null!;
    private string _model = null!, _corpus = null!, _queries = null!, _index = null!;

    [SetUp]
    public async Task SetUp()
    {
        _files = new TemporaryFiles();
        _model = TinyModel.WriteEncoder(_files.PathOf("model"));
        _corpus = _files.Write("corpus.jsonl", string.Concat(Enumerable.Range(0, 30)
            .Select(i => $$"""{"_id": "d{{i}}", "title": "Title {{i}}", "text": "text\tof {{(char)('a' + i % 26)}}{{i}}"}""" + "\n")));
        _queries =
            _files.Write("queries.jsonl", """{"_id": "d3", "text": "Title 3 text of d3"}""" + "\n" + """{"_id": "q2", "text": "anything"}""" + "\n");
        _index = await BuildIndex(_model, "idx");
    }

    [TearDown]
    public void TearDown() => _files.Dispose();

    [Test]
    public async Task Queries_WriteTheRun_TheSameAsQueryEmbeddings()
    {
        await Done("search", "--index", _index, "--queries", _queries, "--output", _files.PathOf("a.run"));
        await Done("encode", "--model", _model, "--input", _queries, "--query", "--output", _files.PathOf("q"));
        await Done("search", "--index", _index, "--query-embeddings", _files.PathOf("q"), "--output", _files.PathOf("b.run"));
        string[] run = await File.ReadAllLinesAsync(_files.PathOf("a.run"));
        Assert.That(await File.ReadAllLinesAsync(_files.PathOf("b.run")), Is.EqualTo(run));
        Assert.That(run, Has.Length.EqualTo(60));
        Assert.That(run[0], Does.Match("^d3 Q0 d3 1 (1|0\\.99999[0-9]*|1\\.000000[0-9]*) dense$"), "the query is the document's own text");
        double[] scores = [.. run.Take(30).Select(l => double.Parse(l.Split(' ')[4], System.Globalization.CultureInfo.InvariantCulture))];
        Assert.That(scores, Is.Ordered.Descending);
    }

    [Test]
    public async Task ExcludeSelf_AndDepth()
    {
        string output = (await Done("search", "--index", _index, "--queries", _queries, "--exclude-self", "--depth", "5")).Output;
        string[][] rows = [.. output.Trim().Split('\n').Select(l => l.Split(' '))];
        Assert.That(rows, Has.Length.EqualTo(10));
        Assert.That(rows.Select(r => (r[0], r[2])), Has.None.EqualTo(("d3", "d3")));
    }

    [Test]
    public async Task Filter_AndPrefix()
    {
        string[] all = (await Done("search", "--index", _index, "--queries", _queries)).Output.Trim().Split('\n');
        string ids = _files.Write("some.ids", "d3\nd5\nabsent\nd29\n");
        string[] some = (await Done("search", "--index", _index, "--queries", _queries, "--filter", ids)).Output.Trim().Split('\n');
        Assert.That(some.Select(l => Columns(l, 0, 2, 4)), Is.EqualTo(all.Where(l => l.Split(' ')[2] is "d3" or "d5" or "d29").Select(l => Columns(l, 0, 2, 4))));
        // Candidates enough for all documents: the full search.
        string[] prefix = ["search", "--index", _index, "--queries", _queries, "--prefix-dim", "4"];
        Assert.That((await Done([.. prefix, "--depth", "30"])).Output.Trim().Split('\n'), Is.EqualTo(all));
        Assert.That((await Done([.. prefix, "--depth", "2", "--rescore-multiplier", "1"])).Output.Trim().Split('\n'), Has.Length.EqualTo(4));
        await Refused("a prefix of 4000 dimensions is longer than", "search", "--index", _index, "--queries", _queries, "--prefix-dim", "4000");

        static string Columns(string line, params int[] columns) => string.Join(' ', columns.Select(c => line.Split(' ')[c]));
    }

    [TestCase("float32", "d1 -0 d0 -2 d2 -5")]
    [TestCase("int8", "d1 -0.00 d0 -1.98 d2 -4.97")]
    [TestCase("binary", "d0 -0.5 d1 -0.5 d2 -9")]
    public async Task Distances_AreSearched_InEveryStorage(string storage, string expected)
    {
        // d0 = (1, 2), d1 = (2, 1), d2 = (3, -1), which is one more row than the queries: (2, 1).
        string vectors = Fvecs("v", [1, 2], [2, 1], [3, -1]), ids = _files.Write("v.ids", "d0\nd1\nd2\n"), queries = Fvecs("q", [2, 1]);
        await Done("index", "import", vectors, "--ids", ids, "--metric", "l2", "--storage", storage, "--output", _files.PathOf("l2"));
        string[] lines = (await Done("search", "--index", _files.PathOf("l2"), "--query-embeddings", queries)).Output.Trim().Split('\n');
        string[] wanted = expected.Split(' ');
        for (int i = 0; i < 3; i++)
        {
            Assert.That(lines[i].Split(' ')[2], Is.EqualTo(wanted[2 * i]));
            double score = double.Parse(lines[i].Split(' ')[4], System.Globalization.CultureInfo.InvariantCulture);
            Assert.That(score, Is.EqualTo(double.Parse(wanted[2 * i + 1], System.Globalization.CultureInfo.InvariantCulture)).Within(0.01));
        }
    }

    [Test]
    public async Task ScoreThreshold_AndScan()
    {
        string[] all = (await Done("search", "--index", _index, "--queries", _queries)).Output.Trim().Split('\n');
        string score = all[4].Split(' ')[4];
        double Score(string line) => double.Parse(line.Split(' ')[4], System.Globalization.CultureInfo.InvariantCulture);
        string[] range = (await Done("search", "--index", _index, "--queries", _queries, "--score-threshold", score)).Output.Trim().Split('\n');
        Assert.That(range, Is.EqualTo(all.Where(line => Score(line) >= Score(all[4]))));
        Assert.That(range, Has.Length.InRange(5, 59));
        string[] three = (await Done("search", "--index", _index, "--queries", _queries, "--score-threshold", score, "--depth", "3")).Output.Trim().Split('\n');
        Assert.That(three, Is.EqualTo(range.Where(line => int.Parse(line.Split(' ')[3], System.Globalization.CultureInfo.InvariantCulture) <= 3)));
        await Refused("has no int8 codes", "search", "--index", _index, "--queries", _queries, "--scan", "codes");

        await Done("index", "build", "--embeddings", _files.PathOf("idx-emb"), "--output", _files.PathOf("codes"), "--scan-dtype", "int8");
        Assert.That((await Done("index", "verify", _files.PathOf("codes"))).Output, Does.Contain("float32 numbers with int8 codes"));
        CommandRun run = await CommandRun.Of(["search", "--index", _files.PathOf("codes"), "--queries", _queries, "--scan", "codes", "--depth", "10"]);
        Assert.That(run.Error, Does.Contain("2 of 2 queries proven exact by the bounds of their scan, 0 rescanned; "));
        Assert.That(run.Output.Trim().Split('\n'), Is.EqualTo(all.Where(line => int.Parse(line.Split(' ')[3], System.Globalization.CultureInfo.InvariantCulture) <= 10)));
    }

    [Test]
    public async Task Corpus_WithoutAnIndex_IsSearchedAsOneWouldBe()
    {
        string[] options = ["--queries", _queries, "--exclude-self", "--depth", "7"];
        string[] indexed = (await Done(["search", "--index", _index, .. options])).Output.Trim().Split('\n');
        string[] before = Directory.GetFileSystemEntries(_files.PathOf("."), "*", SearchOption.AllDirectories);
        string[] direct = (await Done(["search", "--model", _model, "--corpus", _corpus, .. options])).Output.Trim().Split('\n');
        Assert.That(direct.Select(l => l.Split(' ')[..4]), Is.EqualTo(indexed.Select(l => l.Split(' ')[..4])));
        Assert.That(Directory.GetFileSystemEntries(_files.PathOf("."), "*", SearchOption.AllDirectories), Is.EqualTo(before), "nothing is stored");
        string ids = _files.Write("some.ids", "d5\nd7\n");
        string[] some = (await Done("search", "--model", _model, "--corpus", _corpus, "--queries", _queries, "--filter", ids)).Output.Trim().Split('\n');
        Assert.That(some.Select(l => l.Split(' ')[2]).Distinct(), Is.EquivalentTo(new[] { "d5", "d7" }));
        string one = (await Done("search", "--model", _model, "--corpus", _corpus, "--query", "Title 3 text of d3", "--depth", "1")).Output.Trim();
        Assert.That(one, Is.EqualTo("1\t1.0000\td3\tTitle 3\ttext of d3"));
        string twice = _files.Write("twice.jsonl", string.Concat(Enumerable.Repeat(await File.ReadAllTextAsync(_corpus), 2)));
        await Refused("ids must be unique", "search", "--model", _model, "--corpus", twice, "--queries", _queries);
    }

    [Test]
    public async Task AnIndexLargerThanMemory_IsSearched()
    {
        const int Rows = 100_000, Dimensions = 1024;
        const long Limit = 256 << 20;
        string vectors = _files.PathOf("large.fvecs"), queries = _files.PathOf("large-q.fvecs"), index = _files.PathOf("large");
        System.Random random = new(1);
        using (FileStream file = File.Create(vectors), some = File.Create(queries))
        {
            float[] row = new float[Dimensions];
            byte[] width = System.BitConverter.GetBytes(Dimensions);
            for (int i = 0; i < Rows; i++)
            {
                for (int at = 0; at < Dimensions; at++) row[at] = random.NextSingle() - 0.5f;
                file.Write(width);
                file.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(row));
                if (i % 10_000 != 7) continue;
                some.Write(width);
                some.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(row));
            }
        }

        // Both in the group, whose memory then is all that either has for its files.
        (CommandRun? built, string reason) = await CommandProcess.RunInMemoryAsync(Limit, "index", "import", vectors, "--output", index, "--quiet");
        if (built is null) Assert.Ignore(reason);
        Assert.That(built!.ExitCode, Is.Zero, built.Error);
        File.Delete(vectors);
        string[] search = ["search", "--index", index, "--query-embeddings", queries, "--depth", "5"];
        (CommandRun? run, _) = await CommandProcess.RunInMemoryAsync(Limit, [.. search, "--skip-checksums"]);
        Assert.That(run!.ExitCode, Is.Zero, run.Error);
        Assert.That(run.Output.Trim().Split('\n').Where(line => line.Split(' ')[3] == "1").Select(line => line.Split(' ')[2]),
            Is.EqualTo(Enumerable.Range(0, 10).Select(i => $"{10_000 * i + 7}")));
        Assert.That((await Done([.. search, "--skip-checksums"])).Output, Is.EqualTo(run.Output));
    }

    private string Fvecs(string name, params float[][] rows)
    {
        byte[] bytes = [.. rows.SelectMany(row => System.BitConverter.GetBytes(row.Length).Concat(row.SelectMany(System.BitConverter.GetBytes)))];
        File.WriteAllBytes(_files.PathOf(name + ".fvecs"), bytes);
        return _files.PathOf(name + ".fvecs");
    }

    [Test]
    public async Task Query_PrintsRankScoreId_AndWithACorpusTitleAndText()
    {
        CommandRun plain = await Done("search", "--index", _index, "--query", "Title 3 text of d3", "--depth", "2");
        Assert.That(plain.Output.Split('\n')[0].Trim(), Does.Match("^1\t1\\.0000\td3$"));
        CommandRun text = await Done("search", "--index", _index, "--query", "Title 3 text of d3", "--corpus", _corpus);
        Assert.That(text.Output.Split('\n')[0].Trim(), Is.EqualTo("1\t1.0000\td3\tTitle 3\ttext of d3"));
        Assert.That(text.Output.Trim().Split('\n'), Has.Length.EqualTo(10));
        CommandRun json = await Done("search", "--index", _index, "--query", "Title 3 text of d3", "--corpus", _corpus, "--json");
        JsonElement hit = JsonDocument.Parse(json.Output).RootElement.GetProperty("hits")[0];
        Assert.That((hit.GetProperty("rank").GetInt32(), hit.GetProperty("id").GetString(), hit.GetProperty("text").GetString()),
            Is.EqualTo((1, "d3", "text\tof d3")));
    }

    [Test]
    public async Task Mine_TakesWhatTheSearchRanksHighestButThePositives()
    {
        string qrels = _files.Write("qrels.tsv", "d3 0 d3 1\nq2 0 d5 1\n"), output = _files.PathOf("mined.jsonl");
        await Done("mine", "--index", _index, "--corpus", _corpus, "--queries", _queries, "--qrels", qrels, "--num-negatives", "4", "--output",
            output);
        string[] run = (await Done("search", "--index", _index, "--queries", _queries, "--depth", "5")).Output.Trim().Split('\n');
        JsonElement[] rows = [.. (await File.ReadAllLinesAsync(output)).Select(line => JsonDocument.Parse(line).RootElement)];
        Assert.That(rows, Has.Length.EqualTo(2));
        foreach (JsonElement row in rows)
        {
            string query = row.GetProperty("query_id").GetString()!,
                positive = row.GetProperty("positive_passages")[0].GetProperty("docid").GetString()!;
            IEnumerable<string> ranked = run.Where(line => line.StartsWith(query + " ", System.StringComparison.Ordinal))
                .Select(line => line.Split(' ')[2]);
            Assert.That(row.GetProperty("negative_passages").EnumerateArray().Select(n => n.GetProperty("docid").GetString()),
                Is.EqualTo(ranked.Where(id => id != positive).Take(4)));
        }

        string other = _files.Write("other.jsonl", string.Concat(Enumerable.Range(0, 30).Select(i => $$"""{"_id": "x{{i}}", "text": "t"}""" + "\n")));
        await Refused("encode the same corpus", "mine", "--index", _index, "--corpus", other, "--queries", _queries, "--qrels",
            _files.Write("x.tsv", "q2 0 x1 1\n"),
            "--output", _files.PathOf("o"));
    }

    [Test]
    public async Task ModelMoved_IsFoundByOption()
    {
        Directory.Move(_model, _files.PathOf("moved"));
        await Refused("which is not there; say where it is with --model", "search", "--index", _index, "--queries", _queries);
        await Done("search", "--index", _index, "--queries", _queries, "--model", _files.PathOf("moved"));
    }

    /// <summary>The index remembers the adapter and its contract: search needs to be told neither.</summary>
    [Test]
    public async Task Adapter_IsFoundAgain_AndAnotherIsRefused()
    {
        string adapter = TinyModel.WriteAdapter(_files.PathOf("adapter"), _model, seed: 1),
            other = TinyModel.WriteAdapter(_files.PathOf("other"), _model, seed: 2);
        await Done("encode", "--model", _model, "--adapter", adapter, "--input", _corpus, "--output", _files.PathOf("lora-emb"), "--query-prefix",
            "q: ");
        await Done("index", "build", "--embeddings", _files.PathOf("lora-emb"), "--output", _files.PathOf("lora"));
        string[] search = ["search", "--index", _files.PathOf("lora"), "--query", "text of d3", "--depth", "3"];
        string tuned = (await Done(search)).Output,
            plain = (await Done("search", "--index", _index, "--query", "q: text of d3", "--depth", "3")).Output;
        Assert.That(tuned, Is.Not.EqualTo(plain), "the adapter changes scores");
        Assert.That((await Done([.. search, "--adapter", adapter])).Output, Is.EqualTo(tuned));
        await Refused("the index was made with another model: adapter hash is ", [.. search, "--adapter", other]);
        Directory.Delete(adapter, recursive: true);
        await Refused("which is not there; say where it is with --adapter", search);
    }

    [Test]
    public async Task OtherModel_IsRefusedByName()
    {
        string other = TinyModel.WriteEncoder(_files.PathOf("other"), seed: 2);
        await Refused("the index was made with another model: base weights hash is ", "search", "--index", _index, "--queries", _queries, "--model",
            other);
        string config = Path.Combine(_model, "tokenizer.json");
        File.WriteAllText(config, File.ReadAllText(config) + " ");
        await Refused("tokenizer hash is ", "search", "--index", _index, "--queries", _queries);
    }

    [Test]
    public async Task QueryEmbeddingsOfAnotherContract_AreRefusedByName()
    {
        await Done("encode", "--model", _model, "--input", _queries, "--query", "--query-prefix", "q: ", "--output", _files.PathOf("q"));
        await Refused("query prefix is \"\" in the index", "search", "--index", _index, "--query-embeddings", _files.PathOf("q"));
        await Refused("holds passage embeddings", "search", "--index", _index, "--query-embeddings", _files.PathOf("idx-emb"));
    }

    [Test]
    public async Task DamagedIndex_IsRefused_UnlessTrusted()
    {
        string shard = Directory.GetFiles(_index, "vectors-*").Single();
        byte[] whole = File.ReadAllBytes(shard), changed = [.. whole];
        changed[^1] ^= 1;
        File.WriteAllBytes(shard, changed);
        await Refused("the checksum is not that of the manifest", "search", "--index", _index, "--queries", _queries);
        await Done("search", "--index", _index, "--queries", _queries, "--skip-checksums");
        File.WriteAllBytes(shard, whole[..^4]);
        await Refused("truncated", "search", "--index", _index, "--queries", _queries, "--skip-checksums");
        await Refused("no such folder", "search", "--index", _files.PathOf("absent"), "--queries", _queries);
        await Refused("where an index is needed", "search", "--index", _files.PathOf("idx-emb"), "--queries", _queries);
    }

    [TestCase("give --index DIR")]
    [TestCase("--bm25-k1 goes with --method bm25", "--index", "i", "--queries", "q", "--bm25-k1", "1")]
    [TestCase("--index goes with --method dense", "--method", "bm25", "--corpus", "c", "--queries", "q", "--index", "i")]
    [TestCase("give one of --queries PATH", "--index", "i")]
    [TestCase("give one of --queries PATH", "--index", "i", "--queries", "q", "--query", "t")]
    [TestCase("--prefix-dim goes without it", "--index", "i", "--queries", "q", "--prefix-dim", "3", "--scan", "codes")]
    [TestCase("--pooling goes with --model DIR and --corpus PATH, without --index", "--index", "i", "--queries", "q", "--pooling", "cls")]
    [TestCase("--skip-checksums goes with --index DIR", "--model", "m", "--corpus", "c", "--queries", "q", "--skip-checksums")]
    [TestCase("--rescore-multiplier goes with --prefix-dim", "--index", "i", "--queries", "q", "--rescore-multiplier", "3")]
    [TestCase("--corpus goes with --query", "--index", "i", "--queries", "q", "--corpus", "c")]
    public async Task OptionsThatDoNotGoTogether_AreNamed(string expected, params string[] options)
    {
        CommandRun run = await CommandRun.Of(["search", .. options]);
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((ExitCodes.BadInput, run.Error)));
        Assert.That(run.Error, Does.Contain(expected));
    }

    /// <summary>A model whose vectors are not normalised but compared by cosine: scores are cosines all the same.</summary>
    [Test]
    public async Task CosineWithoutNormalisation_ScoresAreCosines()
    {
        File.WriteAllText(Path.Combine(_model, "modules.json"), """
            [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
             {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
            """);
        Directory.CreateDirectory(Path.Combine(_model, "1_Pooling"));
        File.WriteAllText(Path.Combine(_model, "1_Pooling", "config.json"), """{"pooling_mode_mean_tokens": true}""");
        string raw = await BuildIndex(_model, "raw");
        string[] cosine = (await Done("search", "--index", _index, "--queries", _queries)).Output.Split('\n');
        string[] same = (await Done("search", "--index", raw, "--queries", _queries)).Output.Split('\n');
        Assert.That(Scores(same), Is.EqualTo(Scores(cosine)).Within(1e-5));

        static IEnumerable<double> Scores(string[] lines) =>
            lines.Where(l => l.Length > 0).Select(l => double.Parse(l.Split(' ')[4], System.Globalization.CultureInfo.InvariantCulture));
    }

    private async Task<string> BuildIndex(string model, string name)
    {
        await Done("encode", "--model", model, "--input", _corpus, "--output", _files.PathOf($"{name}-emb"), "--rows-per-shard", "11");
        await Done("index", "build", "--embeddings", _files.PathOf($"{name}-emb"), "--output", _files.PathOf(name));
        return _files.PathOf(name);
    }
}
