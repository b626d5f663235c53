using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Data;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Data;

internal sealed class TrainingSetTests
{
    private const string Inline = """
        {"query_id":7,"query":"first?","positive_passages":[{"docid":"a","title":"T","text":"x"}],"negative_passages":[{"docid":3,"text":"y"}]}

        {"query_id": "8", "query": "second", "positive_passages": [{"docid": "b", "title": null, "text": "z"}, {"docid": "c", "text": ""}]}
        """;

    private const string ById = """
        {"query_id": "1", "query_text": "q1", "query_image": null, "positive_document_ids": ["d2"], "negative_document_ids": ["d1", 3]}
        {"query_id": "2", "query_text": "q2", "positive_document_ids": ["d1", "d2"], "negative_document_ids": []}
        """;

    private const string Documents = """
        {"docid": "d1", "title": "one", "text": "first"}
        {"docid": "d2", "text": "second"}
        {"docid": 3, "title": "", "text": "third"}
        """;

    private const string Flag = """
        {"query": "q1", "pos": ["p1", "p2"], "neg": ["n1", "p1"], "prompt": "find: ", "pos_scores": [1, 2], "type": "normal"}
        {"query": "q2", "pos": [], "neg": ["n1"], "teacher_scores": [1]}
        {"query_id": 12, "query": "q3", "pos": ["p2"], "neg": []}
        """;

    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public void Open_TevatronInline_GivesRows([Values("\n", "\r\n")] string newline)
    {
        using TrainingSet set = TrainingSet.Open(_folder.Write("train.jsonl", "\uFEFF" + Inline.ReplaceLineEndings(newline)));
        Assert.Multiple(() =>
        {
            Assert.That((set.Format, set.Count), Is.EqualTo((TrainingFormat.Tevatron, 2)));
            Assert.That(set.Warnings, Is.Empty);
            Assert.That((set[0].QueryId, set[0].Query, set[0].Prompt), Is.EqualTo(("7", "first?", (string?)null)));
            Assert.That(set[0].Positives, Is.EqualTo(new[] { new Document("a", "T", "x") }));
            Assert.That(set[0].Negatives, Is.EqualTo(new[] { new Document("3", "", "y") }));
            Assert.That(set[1].Positives, Is.EqualTo(new[] { new Document("b", "", "z"), new Document("c", "", "") }));
            Assert.That(set[1].Negatives, Is.Empty);
            Assert.That(() => set[2], Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
    }

    [Test]
    public void Open_TevatronById_TakesTextsFromTheCorpus()
    {
        string path = _folder.Write("train.jsonl", ById), corpus = _folder.Write("corpus.jsonl", Documents);
        using TrainingSet set = TrainingSet.Open(path, corpus: corpus), again = TrainingSet.Open(path, corpus: _folder.Path);
        Assert.Multiple(() =>
        {
            Assert.That((set.Format, set.Count), Is.EqualTo((TrainingFormat.TevatronIds, 2)));
            Assert.That(set[0].Positives, Is.EqualTo(new[] { new Document("d2", "", "second") }));
            Assert.That(set[0].Negatives, Is.EqualTo(new[] { new Document("d1", "one", "first"), new Document("3", "", "third") }));
            Assert.That(again.ContentHash, Is.EqualTo(set.ContentHash));
            Assert.That(() => TrainingSet.Open(path), Throws.TypeOf<InputException>().With.Message.Contains("give their corpus (--corpus)"));
        });
        using TrainingSet other = TrainingSet.Open(path, corpus: _folder.Write("other.jsonl", Documents.Replace("third", "3rd")));
        Assert.That(other.ContentHash, Is.Not.EqualTo(set.ContentHash));
    }

    [Test]
    public void Open_FlagEmbedding_LeavesOutRowsWithoutPositives()
    {
        using TrainingSet set = TrainingSet.Open(_folder.Write("train.jsonl", Flag));
        Assert.Multiple(() =>
        {
            Assert.That((set.Format, set.Count), Is.EqualTo((TrainingFormat.FlagEmbedding, 2)));
            Assert.That(set.Warnings.Single(), Does.Contain("1 rows without a positive passage"));
            Assert.That((set[0].Query, set[0].Prompt), Is.EqualTo(("q1", "find: ")));
            Assert.That((set[1].QueryId, set[1].Query), Is.EqualTo(("12", "q3")));
            Assert.That(set[0].Positives.Select(p => p.Text), Is.EqualTo(new[] { "p1", "p2" }));
            Assert.That(set[0].Positives[0].Id, Is.EqualTo(set[0].Negatives[1].Id), "equal texts are one document");
            Assert.That(set[0].Positives[1].Id, Is.EqualTo(set[1].Positives[0].Id));
            Assert.That(set[0].Positives[0].Id, Is.Not.EqualTo(set[0].Positives[1].Id));
        });
    }

    [Test]
    public void Open_BeirFolder_JoinsQueriesJudgementsAndCorpus()
    {
        _folder.Write("corpus.jsonl", Documents.Replace("docid", "_id"));
        _folder.Write("queries.jsonl", """
            {"_id": "q1", "text": "one"}
            {"_id": "q2", "text": "two"}
            {"_id": "q3", "text": "three"}
            {"_id": "dev", "text": "four"}
            """);
        _folder.Write("qrels/train.tsv", "query-id\tcorpus-id\tscore\nq2\td2\t1\nq1\td1\t2\nq2\td1\t1\nq1\tabsent\t1\nq3\td1\t0\nq9\td1\t1\n");
        using TrainingSet set = TrainingSet.Open(_folder.Path);
        Assert.Multiple(() =>
        {
            Assert.That((set.Format, set.Count), Is.EqualTo((TrainingFormat.Beir, 2)));
            Assert.That(set.Select(r => r.Query), Is.EqualTo(new[] { "two", "one" }));
            Assert.That(set[0].Positives, Is.EqualTo(new[] { new Document("d2", "", "second"), new Document("d1", "one", "first") }));
            Assert.That(set[0].Negatives, Is.Empty);
            Assert.That(set.Warnings, Has.Count.EqualTo(3));
        });
        _folder.Write("queries.jsonl", """{"_id": "other", "text": "one"}""");
        Assert.That(() => TrainingSet.Open(_folder.Path), Throws.TypeOf<InputException>().With.Message.Contains("has a relevant document"));
    }

    [Test]
    public void WrittenRows_AreReadBack()
    {
        TrainingRow row = new("q1", "what \"is\" ümlaut <b> 😀?", [new Document("1", "t", "x\ny")],
            [new Document("2", "", "z"), new Document("3", "u", "")], "p: ");
        string path = _folder.File("train.jsonl");
        Assert.That(TrainingRows.Write(path, [row, row with { QueryId = "q2", Negatives = [] }]), Is.EqualTo(2));
        using TrainingSet set = TrainingSet.Open(path);
        Assert.Multiple(() =>
        {
            Assert.That(set, Has.Count.EqualTo(2));
            Assert.That((set[0].QueryId, set[0].Query, set[0].Prompt), Is.EqualTo((row.QueryId, row.Query, row.Prompt)));
            Assert.That(set[0].Positives, Is.EqualTo(row.Positives));
            Assert.That(set[0].Negatives, Is.EqualTo(row.Negatives));
            Assert.That(File.ReadAllText(path), Does.Contain("ümlaut <b>"));
        });
    }

    [TestCase("""{"query_id":"1","query":"q","positive_passages":[{"docid":"2"}]}""",
        "train.jsonl line 3: field \"positive_passages[0].text\" is missing")]
    [TestCase("""{"query_id":"1","positive_passages":[{"docid":"2","text":"x"}]}""", "line 3: field \"query\" is missing")]
    [TestCase("""{"query_id":"1","query":"q","positive_passages":"x"}""", "line 3: field \"positive_passages\" must be an array, not a string")]
    [TestCase("""{"query_id":"1","query":"q","positive_passages":["x"]}""", "line 3: field \"positive_passages[0]\" must be an object, not a string")]
    [TestCase("""{"query_id":"1","query":"\ud800","positive_passages":[]}""", "line 3: field \"query\" is not valid Unicode")]
    [TestCase("""{"query_id":"1","query":"q" """, "line 3: not valid JSON")]
    [TestCase("[]", "line 3: a JSON object is needed, not an array")]
    public void Open_BadLine_NamesFileLineAndField(string line, string reason)
    {
        string first = """{"query_id":"0","query":"q","positive_passages":[{"docid":"2","text":"x"}]}""";
        string path = _folder.Write("train.jsonl", $"{first}\n\n{line}\n{first}\n");
        Assert.That(() => TrainingSet.Open(path), Throws.TypeOf<InputException>().With.Message.Contains(reason));
    }

    [Test]
    public void Open_WhatIsNoTrainingData_SaysSo()
    {
        string ids = _folder.Write("ids.jsonl", ById.Replace("\"d1\", 3", "\"d9\""));
        Assert.Multiple(() =>
        {
            Assert.That(() => TrainingSet.Open(_folder.File("absent")), Throws.TypeOf<InputException>().With.Message.Contains("no such file"));
            Assert.That(() => TrainingSet.Open(_folder.Write("a", " \n\n")), Throws.TypeOf<InputException>().With.Message.Contains("holds no rows"));
            Assert.That(() => TrainingSet.Open(_folder.Write("b", "{}")),
                Throws.TypeOf<InputException>().With.Message.Contains("one of which training data has"));
            Assert.That(() => TrainingSet.Open(_folder.Write("c", """{"query":"q","pos":[]}""")),
                Throws.TypeOf<InputException>().With.Message.Contains("no row has a positive"));
            Assert.That(() => TrainingSet.Open(_folder.Path), Throws.TypeOf<InputException>().With.Message.Contains("there is no corpus.jsonl"));
            Assert.That(() => TrainingSet.Open(ids, corpus: _folder.Write("d", Documents)),
                Throws.TypeOf<InputException>().With.Message.Contains("ids.jsonl line 1: field \"negative_document_ids[0]\" is \"d9\""));
            Assert.That(() => TrainingSet.Open(ids, corpus: _folder.Write("e", Documents + Documents)),
                Throws.TypeOf<InputException>().With.Message.Contains("line 3"));
            Assert.That(() => TrainingSet.Open(ids, corpus: _folder.Write("f", Documents + "\n" + Documents)),
                Throws.TypeOf<InputException>().With.Message.Contains("line 4: id \"d1\" is there already in line 1"));
        });
    }

    [TestCase("convsearch.json", TrainingFormat.FlagEmbedding)]
    [TestCase("qa.json", TrainingFormat.FlagEmbedding)]
    [TestCase("tool.json", TrainingFormat.FlagEmbedding)]
    [TestCase("icl.json", TrainingFormat.FlagEmbedding)]
    [TestCase("embedder-msmarco.jsonl", TrainingFormat.FlagEmbedding)]
    [TestCase("embedder-nq.jsonl", TrainingFormat.FlagEmbedding)]
    [TestCase("embedder-sts.jsonl", TrainingFormat.FlagEmbedding)]
    [TestCase("llara-finetune.jsonl", TrainingFormat.FlagEmbedding)]
    public void Open_PublishedFiles_AreRead(string name, TrainingFormat format)
    {
        string path = SharedFolder.Require("data/training/flagembedding-toy/" + name);
        using TrainingSet set = TrainingSet.Open(path);
        int lines = File.ReadLines(path).Count(line => line.Trim().Length > 0);
        Assert.Multiple(() =>
        {
            Assert.That(set.Format, Is.EqualTo(format));
            Assert.That(set.Count + (set.Warnings.Count > 0 ? 1 : 0), Is.GreaterThan(0).And.LessThanOrEqualTo(lines));
            Assert.That(set.Warnings.Count == 0, Is.EqualTo(set.Count == lines));
            Assert.That(set.All(row => row.Positives.Count > 0 && row.Query.Length > 0), Is.True);
        });
    }

    [Test]
    public void SciFact_InlineAndFolder_AgreeFromManyThreads()
    {
        using TrainingSet inline = TrainingSet.Open(SharedFolder.Require("goldens/finetune/train.jsonl"));
        using TrainingSet folder = TrainingSet.Open(SharedFolder.Require("data/collections/scifact"));
        int different = 0;
        Parallel.For(0, inline.Count, i =>
        {
            TrainingRow a = inline[i], b = folder[i];
            if (a.QueryId != b.QueryId || a.Query != b.Query || !a.Positives.SequenceEqual(b.Positives))
                System.Threading.Interlocked.Increment(ref different);
        });
        Assert.Multiple(() =>
        {
            Assert.That((inline.Count, folder.Count), Is.EqualTo((809, 809)));
            Assert.That(different, Is.Zero);
            Assert.That(inline[0].Negatives, Has.Count.EqualTo(8));
        });
    }

    [Test]
    public void LineFile_LongLinesAcrossScans_AreWhole()
    {
        // Three lines of 7 million bytes cross the border of a scan of 16 MiB.
        string path = _folder.File("long");
        File.WriteAllLines(path, Enumerable.Range(0, 5).Select(i => new string((char)('a' + i), 7_000_000)));
        using LineFile lines = LineFile.Open(path);
        Assert.Multiple(() =>
        {
            Assert.That(lines.Count, Is.EqualTo(5));
            for (int i = 0; i < 5; i++)
            {
                Assert.That(lines[i].Length, Is.EqualTo(7_000_000));
                Assert.That(lines[i][^1], Is.EqualTo((byte)('a' + i)));
                Assert.That(lines.LineNumber(i), Is.EqualTo(i + 1));
            }
        });
    }

    [TestCase(Inline, null)]
    [TestCase(Flag, null)]
    [TestCase(ById, Documents)]
    public void Open_Damaged_NeverThrowsAnythingElse(string text, string? documents)
    {
        string path = _folder.File("train.jsonl"), corpus = _folder.File("corpus.jsonl");
        if (documents is not null) File.WriteAllText(corpus, documents);
        Fuzz.Run(System.Text.Encoding.UTF8.GetBytes(text), bytes => Read(path, bytes));
        File.WriteAllText(path, text);
        if (documents is not null) Fuzz.Run(System.Text.Encoding.UTF8.GetBytes(documents), bytes => Read(corpus, bytes), seed: 2);

        void Read(string damaged, byte[] bytes)
        {
            File.WriteAllBytes(damaged, bytes);
            using TrainingSet set = TrainingSet.Open(path, corpus: documents is null ? null : corpus);
            List<TrainingRow> rows = [.. set];
        }
    }
}
