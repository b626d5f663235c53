using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Evaluation;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Evaluation;

/// <summary>Judgements, runs and z-score files: their forms, what is refused, and damage.</summary>
internal sealed class EvaluationFilesTests
{
    [TestCase("q1 0 d1 1\nq1\t0\td2\t-1\n")]
    [TestCase("\uFEFFquery-id\tcorpus-id\tscore\r\nq1\td1\t1\r\nq1\td2\t-1")]
    [TestCase("q1\td1\t1\n\nq1\td2\t-1\n")]
    public void Qrels_EachForm_SameJudgements(string text)
    {
        Qrels qrels = Qrels.Read(Reader(text));
        Assert.That(qrels.QueryIds, Is.EqualTo(new[] { "q1" }));
        Assert.That(qrels["q1"].OrderBy(static p => p.Key).Select(static p => p.Value), Is.EqualTo(new[] { 1, -1 }));
    }

    [TestCase("q1 0 d1 1\nq1 0 d1 0\n", "qrels line 2: document \"d1\" is judged twice for query \"q1\"")]
    [TestCase("q1 0 d1 1.5\n", "qrels line 1: grade \"1.5\" is not an integer between -10000 and 10000")]
    [TestCase("q1 0 d1 20000\n", "qrels line 1: grade \"20000\" is not an integer between -10000 and 10000")]
    [TestCase("q1 0 d1 1\nq1 d2 1\n", "qrels line 2: 3 columns where the lines before have 4")]
    [TestCase("q1 0 d1 1 x\n", "qrels line 1: more than 4 columns where judgements have 4 (query 0 document grade) or BEIR's 3")]
    [TestCase("query-id\tcorpus-id\tscore\n", "qrels holds no judgements")]
    public void Qrels_Bad_OneSentence(string text, string message) =>
        Assert.That(() => Qrels.Read(Reader(text, "qrels")), Throws.TypeOf<InputException>().With.Message.EqualTo(message));

    [Test]
    public void Qrels_PublishedFiles_Load()
    {
        string folder = SharedFolder.Require("data/eval/topics-qrels");
        Assert.Multiple(() =>
        {
            Assert.That(Qrels.Load(Path.Combine(folder, "qrels.msmarco-passage.dev-subset.txt")).Count, Is.EqualTo(6980));
            Assert.That(Qrels.Load(Path.Combine(folder, "qrels.dl19-passage.txt")).Count, Is.EqualTo(43));
            Assert.That(Qrels.Load(Path.Combine(folder, "qrels.dl20-passage.txt")).Count, Is.EqualTo(54));
            Assert.That(Qrels.Load(Path.Combine(folder, "qrels.beir-v1.0.0-arguana.test.txt")).Count, Is.EqualTo(1406));
            Assert.That(Qrels.Load(Path.Combine(folder, "qrels.beir-v1.0.0-fiqa.test.txt")).Count, Is.EqualTo(648));
        });
    }

    [TestCase("q1 Q0 a 1 2 t\nq1 Q0 b 2 1 t\n", 2.0, 1.0)]
    [TestCase("q1\ta\t1\nq1\tb\t2\n", 1.0, 0.5)]
    [TestCase("q1\ta\t7.5\nq1\tb\t2\n", 7.5, 2.0)]
    [TestCase("q1\ta\t300\nq1\tb\t299\n", 300.0, 299.0)]
    [TestCase("q1 Q0 a 1 inf t extra\nq1 Q0 b 2 -Inf t\n", double.PositiveInfinity, double.NegativeInfinity)]
    [TestCase("q1 Q0 a x 1e3 t\n\nq1 Q0 b x -.5 t", 1000.0, -0.5)]
    public void Run_EachForm_Scores(string text, double a, double b) =>
        Assert.That(RunFile.Read(Reader(text))["q1"], Is.EqualTo(new[] { new ScoredDocument("a", a), new ScoredDocument("b", b) }));

    [TestCase("q1 Q0 a 1 nan t\n", "run line 1: score \"nan\" is not a number")]
    [TestCase("q1 Q0 a 1 2\n", "run line 1: 5 columns where a run has 6 (query Q0 document rank score tag) or 3 (query document rank)")]
    [TestCase("q1\ta\t1\nq1\ta\t2\n", "run line 2: document \"a\" is there twice for query \"q1\" (first in line 1)")]
    [TestCase("", "run holds no results")]
    public void Run_Bad_OneSentence(string text, string message) =>
        Assert.That(() => RunFile.Read(Reader(text, "run")), Throws.TypeOf<InputException>().With.Message.EqualTo(message));

    [Test]
    public void Run_WrittenAndRead_SameScores([Values] bool single)
    {
        Random random = new(7);
        RunFile run = new("tag");
        run.Add("q", Enumerable.Range(0, 500).Select(i => new ScoredDocument($"d{i}", single ? (float)random.NextDouble() : random.NextDouble())));
        StringWriter text = new();
        run.Write(text);
        RunFile read = RunFile.Read(Reader(text.ToString()));
        Assert.That(read.Tag, Is.EqualTo("tag"));
        Assert.That(read["q"].Select(d => single ? (float)d.Score : d.Score), Is.EqualTo(run["q"].Select(static d => d.Score)));
        Assert.That(text.ToString().Split('\n')[0].Length, Is.LessThan(single ? 26 : 36));
    }

    [Test]
    public void Run_MixedPrecisions_KeepTheirOrder()
    {
        double[] scores = [0.1f, 0.1000000001, 0.1];
        RunFile run = new("tag");
        run.Add("q", scores.Select(static (s, i) => new ScoredDocument($"d{i}", s)));
        StringWriter text = new();
        run.Write(text);
        Assert.That(RunFile.Read(Reader(text.ToString()))["q"].Select(static d => d.Score), Is.EqualTo(scores));
    }

    [Test]
    public void Run_WrittenForMsMarco_RanksInOrder()
    {
        RunFile run = new("tag");
        run.Add("7", [new ScoredDocument("11", 2), new ScoredDocument("12", 1)]);
        StringWriter text = new();
        run.Write(text, RunFormat.MsMarco);
        Assert.That(text.ToString(), Is.EqualTo("7\t11\t1\n7\t12\t2\n"));
    }

    [TestCase("a b", "d")]
    [TestCase("q", "d\t1")]
    [TestCase("q", "")]
    public void Run_IdWithBlank_NotWritten(string query, string document)
    {
        RunFile run = new("tag");
        run.Add(query, [new ScoredDocument(document, 2)]);
        Assert.That(() => run.Write(TextWriter.Null), Throws.TypeOf<InputException>().With.Message.Contains("separated by blanks"));
    }

    [Test]
    public void MsMarco_RankColumnDecides_EveryJudgementIsRelevant()
    {
        Qrels qrels = new();
        qrels.TryAdd("1", "5", 0);
        qrels.TryAdd("2", "0", 1);
        qrels.TryAdd("3", "9", 1);
        using Utf8LineReader reader = Reader("1 Q0 5 4 100 t\n1 Q0 6 1 1 t\n2 Q0 8 1 1 t\n");
        MsMarcoEvaluation evaluation = MsMarcoEvaluation.Evaluate(qrels, reader, 10);
        Assert.That(evaluation.MeanReciprocalRank, Is.EqualTo((0.25 + 0.5) / 3).Within(1e-16),
            "document 0 fills the ranks that query 2 leaves empty");
        Assert.That(evaluation.QueriesRanked, Is.EqualTo(2));
    }

    [Test]
    public void LineReader_LongLinesAndBadBytes_Refused()
    {
        using Utf8LineReader tooLong = new(new MemoryStream(new byte[200_000]), "file", maxLineBytes: 100_000);
        Assert.That(
            () => tooLong.TryRead(out _),
            Throws.TypeOf<InputException>().With.Message.EqualTo("file line 1: the line is longer than 100000 bytes"));
        using Utf8LineReader notUtf8 = new(new MemoryStream([(byte)'a', (byte)'\n', 0xC3, 0x28]), "file");
        Assert.That(notUtf8.TryRead(out _), Is.True);
        Assert.That(() => notUtf8.TryRead(out _), Throws.TypeOf<InputException>().With.Message.StartsWith("file line 2: is not valid UTF-8"));
    }

    [Test]
    public void LineReader_LinesAcrossBuffers_AreWhole()
    {
        string[] lines = [.. Enumerable.Range(0, 40).Select(static i => new string((char)('a' + (i % 26)), i * 997))];
        using Utf8LineReader reader = Reader(string.Join('\n', lines));
        foreach (string line in lines)
        {
            Assert.That(reader.TryRead(out ReadOnlySpan<byte> read), Is.True);
            Assert.That(System.Text.Encoding.UTF8.GetString(read), Is.EqualTo(line));
        }

        Assert.That(reader.TryRead(out _), Is.False);
    }

    [Test]
    public void DamagedFiles_OnlyInputException()
    {
        (string Text, Action<Utf8LineReader> Read)[] readers =
        [
            ("q1 0 d1 1\nq1 0 d2 0\nq2 0 d1 2\n", static r => Qrels.Read(r)),
            ("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t2\n", static r => Qrels.Read(r)),
            ("q1 Q0 a 1 2.5 t\nq1 Q0 b 2 1e-3 t\nq2 Q0 a 1 9 t\n", static r => RunFile.Read(r)),
            ("q1\ta\t1\nq1\tb\t2\nq2\ta\t1\n", static r => RunFile.Read(r)),
            ("q1 map 0.5 0.25\nq1 P_5 nan nan\n", static r => ZScores.Read(r)),
            ("q1\ta\t1\nq1\tb\t2\nq2\ta\t1\n", static r => MsMarcoEvaluation.Evaluate(Qrels.Read(Reader("q1 0 a 1\n")), r, 10)),
        ];
        Stopwatch clock = Stopwatch.StartNew();
        Random random = new(20240607);
        for (int round = 0; round < 20_000; round++)
        {
            (string text, Action<Utf8LineReader> read) = readers[round % readers.Length];
            byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
            for (int n = random.Next(1, 4); n > 0; n--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            using Utf8LineReader reader = new(new MemoryStream(bytes, 0, random.Next(4) == 0 ? random.Next(bytes.Length) : bytes.Length), "damaged");
            try
            {
                read(reader);
            }
            catch (InputException e)
            {
                Assert.That(e.Message, Does.Contain("damaged"));
            }
        }

        Assert.That(clock.Elapsed, Is.LessThan(TimeSpan.FromSeconds(30)));
    }

    private static Utf8LineReader Reader(string text, string name = "file") => new(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text)), name);
}
