using System;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Data;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Data;

internal sealed class CollectionReadersTests
{
    private const string Beir =
        "{\"_id\": \"d1\", \"title\": \"T\", \"text\": \"a \\u00e9 \\ud83d\\ude00\", \"metadata\": {\"_id\": [1]}}\n\n" +
        "{\"text\": \"b\", \"_id\": 7}\n";

    [TestCase(CorpusFormat.Auto, Beir, "T")]
    [TestCase(CorpusFormat.Beir, Beir, "T")]
    [TestCase(CorpusFormat.Auto, "{\"docid\": \"d1\", \"title\": \"T\", \"text\": \"a é 😀\"}\r\n{\"docid\": 7, \"title\": null, \"text\": \"b\"}",
        "T")]
    [TestCase(CorpusFormat.Auto, "{\"id\": \"d1\", \"contents\": \"a é 😀\"}\n{\"id\": \"7\", \"contents\": \"b\"}\n", "")]
    [TestCase(CorpusFormat.Auto, "{\"id\": \"d1\", \"title\": \"T\", \"text\": \"a é 😀\"}\n{\"id\": \"7\", \"text\": \"b\"}\n", "T")]
    [TestCase(CorpusFormat.Auto, "\uFEFFd1\ta é 😀\n7\tb\n", "")]
    [TestCase(CorpusFormat.Tsv, "d1\ta é 😀\n7\tb", "")]
    public void Corpus_EachFormat_SameDocuments(CorpusFormat format, string text, string title) =>
        Assert.That(Corpus.Read(Reader(text), format), Is.EqualTo(new[] { new Document("d1", title, "a é 😀"), new Document("7", "", "b") }));

    [TestCase("{\"_id\": \"1\", \"text\": \"a\"}\n{\"_id\": \"2\"}\n", "corpus line 2: field \"text\" is missing")]
    [TestCase("{\"_id\": \"1\", \"text\": \"a\"}\n{\"_id\": \"2\", \"text\": 5}\n", "corpus line 2: field \"text\" must be a string, not Number")]
    [TestCase("{\"_id\": \"1\", \"text\": \"a\"}\n\n{\"_id\": \"1\", \"text\": \"b\"}\n",
        "corpus line 3: id \"1\" is there already in line 1; ids must be unique")]
    [TestCase("{\"_id\": \"1\", \"text\": \"a\", \"text\": \"b\"}\n", "not valid JSON")]
    [TestCase("{\"_id\": \"1\", \"text\": \"a\"}\n{\"_id\": \"2\", \"text\": \"a\", \"text\": \"b\"}\n",
        "corpus line 2: field \"text\" is there twice")]
    [TestCase("{\"_id\": \"1\", \"text\": \"\\ud800\"}\n", "corpus line 1: a string is not valid Unicode")]
    [TestCase("{\"_id\": \"1\", \"text\": \"a\"} x\n", "corpus line 1: not valid JSON")]
    [TestCase("{\"_id\": \"1\", \"text\": \"a\n", "corpus line 1: not valid JSON")]
    [TestCase("{\"number\": \"1\", \"text\": \"a\"}\n", "corpus line 1: field \"_id\" or \"docid\" or \"id\" is missing")]
    [TestCase("{\"_id\": \"\", \"text\": \"a\"}\n", "corpus line 1: the id is empty")]
    [TestCase("1\ta\n2 b\n", "corpus line 2: there is no tab between id and text")]
    [TestCase("[\"_id\"]\n", "corpus line 1: there is no tab")]
    [TestCase("\n \n", "corpus holds no documents")]
    public void Corpus_Bad_NamesFileLineAndField(string text, string message) =>
        Assert.That(
            () => Corpus.Read(Reader(text, "corpus"), CorpusFormat.Auto).Count(),
            Throws.TypeOf<InputException>().With.Message.Contains(message));

    [TestCase("{\"_id\": \"q1\", \"text\": \"a\"}\n{\"_id\": \"q2\", \"text\": \"\"}\n")]
    [TestCase("{\"query_id\": \"q1\", \"query\": \"a\", \"positive_passages\": []}\n{\"query_id\": \"q2\", \"query\": \"\"}\n")]
    [TestCase("{\"query_id\": \"q1\", \"query_text\": \"a\"}\n{\"query_id\": \"q2\", \"query_text\": \"\"}\n")]
    [TestCase("{\"id\": \"q1\", \"text\": \"a\"}\n{\"id\": \"q2\", \"text\": \"\"}\n")]
    [TestCase("q1\ta\nq2\t\n")]
    public void Queries_EachFormat_SameQueries(string text) =>
        Assert.That(Queries.Read(Reader(text)), Is.EqualTo(new[] { new Query("q1", "a"), new Query("q2", "") }));

    [TestCase("{\"_id\": \"q1\", \"text\": \"a\", \"prompt\": \"find: \"}\n{\"_id\": \"q2\", \"text\": \"b\", \"prompt\": \"\"}\n")]
    [TestCase("{\"query_id\": \"q1\", \"query\": \"a\", \"prompt\": \"find: \"}\n{\"query_id\": \"q2\", \"query\": \"b\"}\n")]
    public void Queries_PromptsOfTheirOwn(string text) =>
        Assert.That(Queries.Read(Reader(text)), Is.EqualTo(new[] { new Query("q1", "a", "find: "), new Query("q2", "b") }));

    [Test]
    public void Folder_FilesAreFound()
    {
        using TempFolder folder = new();
        folder.Write("corpus.jsonl", Beir);
        folder.Write("queries.jsonl", "{\"_id\": \"q\", \"text\": \"x\"}\n");
        folder.Write("queries.train.jsonl", "{\"_id\": \"t\", \"text\": \"x\"}\n");
        folder.Write("qrels.trec", "q 0 d1 1\n");
        folder.Write(Path.Combine("qrels", "train.tsv"), "query-id\tcorpus-id\tscore\nq\td1\t1\n");
        Assert.Multiple(() =>
        {
            Assert.That(Corpus.Read(folder.Path).Count(), Is.EqualTo(2));
            Assert.That(Queries.Read(folder.Path).Single().Id, Is.EqualTo("q"));
            Assert.That(BeirFolder.Open(folder.Path).QrelsPath, Does.EndWith("qrels.trec"));
            Assert.That(BeirFolder.Open(folder.Path, "train").QrelsPath, Does.EndWith("train.tsv"));
            Assert.That(BeirFolder.Open(folder.Path, "train").QueriesPath, Does.EndWith("queries.train.jsonl"));
            Assert.That(() => BeirFolder.Open(folder.Path, "dev"), Throws.TypeOf<InputException>().With.Message.Contains("qrels.dev.tsv"));
            Assert.That(
                () => Corpus.Read(folder.File("absent")).Count(),
                Throws.TypeOf<InputException>().With.Message.EndsWith("absent: no such file"));
        });
    }

    [Test]
    public void PublishedCollections_Load()
    {
        (string, int, int)[] collections = [("adi", 82, 35), ("cranfield", 1400, 225), ("scifact", 5183, 1109), ("hotpotqa-500", 4937, 500)];
        foreach ((string name, int documents, int queries) in collections)
        {
            string folder = SharedFolder.Require($"data/collections/{name}");
            Assert.That(Corpus.Read(folder).Count(), Is.EqualTo(documents), name);
            Assert.That(Queries.Read(folder).Count(), Is.EqualTo(queries), name);
        }

        Assert.That(Queries.Read(SharedFolder.Require("data/eval/topics-qrels/topics.msmarco-passage.dev-subset.txt")).Count(), Is.EqualTo(6980));
        Assert.That(Queries.Read(SharedFolder.Require("data/eval/topics-qrels/topics.dl20.txt")).Count(), Is.EqualTo(200));
    }

    [TestCase(Beir)]
    [TestCase("q1\ta\nq2\tb\n")]
    public void DamagedFiles_OnlyInputException(string text) => Fuzz.Run(System.Text.Encoding.UTF8.GetBytes(text), static bytes =>
    {
        Exception? first = null;
        foreach (Action<Utf8LineReader> read in new Action<Utf8LineReader>[]
        {
            static r => _ = Corpus.Read(r, CorpusFormat.Auto).Count(),
            static r => _ = Queries.Read(r).Count(),
        })
        {
            try
            {
                using Utf8LineReader reader = new(new MemoryStream(bytes), "damaged");
                read(reader);
            }
            catch (InputException e)
            {
                first ??= e;
            }
        }

        if (first is not null) throw first;
    });

    private static Utf8LineReader Reader(string text, string name = "file") => new(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text)), name);
}
