using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Data;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Search;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Search;

internal sealed class Bm25IndexTests
{
    [TestCase("The Quick-brown FOX's 2nd naïve jump, to_and fro", "quick brown fox s 2nd na ve jump fro")]
    [TestCase("\u212Aelvin \u0130x", "kelvin ix")]
    [TestCase("the and of", "")]
    [TestCase("", "")]
    public void Tokenizer_Terms(string text, string terms) => Assert.That(string.Join(' ', Terms(text)), Is.EqualTo(terms));

    [Test]
    public void Tokenizer_VeryLongTerm_IsWhole() => Assert.That(Terms(new string('x', 100_000)).Single(), Has.Length.EqualTo(100_000));

    [Test]
    public void Search_Scores_FollowTheFormula()
    {
        Bm25Index index = Bm25Index.Build([("a", "cat cat dog"), ("b", "dog bird"), ("c", "fish")], new Bm25Options(1.2, 0.75));
        double Part(int tf, int length) => tf / (tf + (1.2 * (0.25 + (0.75 * length / 2.0))));
        double cat = Math.Log(1 + (2.5 / 1.5)), dog = Math.Log(1 + (1.5 / 2.5));
        SearchHit[] hits = index.Search("dog cat CAT unknown", 10);
        Assert.That(hits.Select(static h => h.Row), Is.EqualTo(new[] { 0, 1 }));
        Assert.That(hits[0].Score, Is.EqualTo((dog * Part(1, 3)) + (2 * cat * Part(2, 3))).Within(1e-15));
        Assert.That(hits[1].Score, Is.EqualTo(dog * Part(1, 2)).Within(1e-15));
    }

    [Test]
    public void Search_Ties_LowerRowFirst_AlsoAtTheCut()
    {
        IEnumerable<(string, string)> documents = Enumerable.Range(0, 100).Select(static i => ($"{i}", i % 3 == 0 ? "same long" : "same"));
        Bm25Index index = Bm25Index.Build(documents, Bm25Options.Default);
        Assert.That(index.Search("same", 40).Select(static h => h.Row), Is.EqualTo(Enumerable.Range(0, 100).Where(static i => i % 3 != 0).Take(40)));
    }

    [Test]
    public void Search_NothingInCommonOrNoDepth_Empty()
    {
        Bm25Index index = Bm25Index.Build([("a", "cat"), ("b", "")], Bm25Options.Default);
        Assert.That(index.Search("dog", 10), Is.Empty);
        Assert.That(index.Search("", 10), Is.Empty);
        Assert.That(index.Search("cat", 0), Is.Empty);
        Assert.That(Bm25Index.Build([], Bm25Options.Default).Search("cat", 10), Is.Empty);
    }

    [Test]
    public void Search_FromManyThreads_SameAsFromOne()
    {
        Random random = new(1);
        string Text() => string.Join(' ', Enumerable.Range(0, 30).Select(_ => $"w{random.Next(500)}"));
        Bm25Index index = Bm25Index.Build(Enumerable.Range(0, 2000).Select(i => ($"{i}", Text())), Bm25Options.Default);
        string[] queries = [.. Enumerable.Range(0, 200).Select(_ => Text())];
        SearchHit[][] serial = [.. queries.Select(q => index.Search(q, 50))], parallel = new SearchHit[queries.Length][];
        Parallel.For(0, queries.Length, new ParallelOptions { MaxDegreeOfParallelism = 4 }, i => parallel[i] = index.Search(queries[i], 50));
        Assert.That(parallel, Is.EqualTo(serial));
        Assert.That(serial[0].Select(h => index.Score(queries[0], h.Row)), Is.EqualTo(serial[0].Select(static h => h.Score)));
        Assert.That(index.Score("absent", 3), Is.Zero);
    }

    // The table of shared/data/README.md, trec_eval -c.
    [TestCase("adi", 0.3521, 0.4214, 0.5879, 0.8092)]
    [TestCase("cranfield", 0.2663, 0.3311, 0.4959, 0.6874)]
    [TestCase("cacm", 0.3083, 0.4165, 0.6802, 0.6413)]
    [TestCase("nfcorpus-tokenized", 0.1492, 0.3158, 0.5243, 0.2392)]
    [TestCase("hotpotqa-500", 0.6624, 0.7504, 0.8496, 0.9710)]
    [TestCase("scifact", 0.6259, 0.6627, 0.6361, 0.8859)]
    public void RealCollections_KnownFigures(string name, double map, double ndcg, double mrr, double recall)
    {
        string folder = SharedFolder.Require($"data/collections/{name}");
        Qrels qrels = Qrels.Load(Path.Combine(folder, "qrels.trec"));
        Bm25Index index = Bm25Index.Build(Corpus.Read(folder).Select(static d => (d.Id, $"{d.Title} {d.Text}")), Bm25Options.Default);
        RunFile run = new("bm25");
        foreach (Query query in Queries.Read(folder))
        {
            if (qrels.TryGet(query.Id, out _))
                run.Add(query.Id, index.Search(query.Text, 1000).Select(h => new ScoredDocument(index.Ids[h.Row], h.Score)));
        }

        RetrievalEngine.Evaluation.Evaluation evaluation = Evaluator
            .Create(["map", "ndcg_cut.10", "recip_rank", "recall.100"], new EvaluationOptions { AllJudgedQueries = true })
            .Evaluate(qrels, run);
        TestContext.Out.WriteLine(string.Join(' ', evaluation.Measures.Select(static m => $"{m.Name} {m.Summary:F4}")));
        Assert.Multiple(() =>
        {
            Assert.That(evaluation.Mean("map"), Is.EqualTo(map).Within(0.00005));
            Assert.That(evaluation.Mean("ndcg_cut.10"), Is.EqualTo(ndcg).Within(0.00005));
            Assert.That(evaluation.Mean("recip_rank"), Is.EqualTo(mrr).Within(0.00005));
            Assert.That(evaluation.Mean("recall.100"), Is.EqualTo(recall).Within(0.00005));
        });
    }

    private static List<string> Terms(string text)
    {
        List<string> terms = [];
        Bm25Tokenizer tokenizer = new(text);
        while (tokenizer.TryNext(out ReadOnlySpan<char> term)) terms.Add(term.ToString());
        return terms;
    }
}
