using System;
using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Data;
using RetrievalEngine.Search;
using RetrievalEngine.TestKit;
using RetrievalEngine.Training;

namespace RetrievalEngine.Tests.Training;

internal sealed class HardNegativeMinerTests
{
    private static readonly Document[] s_corpus =
        [.. Enumerable.Range(0, 20).Select(static i => new Document($"d{i}", "", i is 5 or 6 ? "copy" : $"text {i}"))];

    // Scores 20, 19, … by row.
    [TestCase(0, 5, null, null, "d0 d1 d3 d4")]
    [TestCase(3, 10, null, null, "d3 d4 d5 d7")]
    [TestCase(0, 3, null, null, "d0 d1")]
    [TestCase(0, 20, 0.25, null, "d7 d8 d9 d10")]
    [TestCase(0, 20, null, 3.0, "d5 d7 d8 d9")]
    [TestCase(0, 20, 0.25, 9.0, "d11 d12 d13 d14")]
    public void Mine_RangeAndMargins(int rangeMin, int rangeMax, double? relative, double? absolute, string expected)
    {
        HardNegativeMiner miner = Miner(new HardNegativeOptions
        {
            NumNegatives = 4,
            RangeMin = rangeMin,
            RangeMax = rangeMax,
            RelativeMargin = relative,
            AbsoluteMargin = absolute,
        });
        Assert.That(Ids(miner.Mine(new Query("q", ""), [s_corpus[2]])), Is.EqualTo(expected));
    }

    [Test]
    public void Mine_CopiesOfPositivesAndOfNegatives_AreOut()
    {
        HardNegativeMiner miner = Miner(new HardNegativeOptions { NumNegatives = 3, RangeMin = 4 });
        MinedNegatives mined = miner.Mine(new Query("q", ""), [new Document("elsewhere", "", "copy"), s_corpus[7]]);
        Assert.That(Ids(mined), Is.EqualTo("d4 d8 d9"));
        Assert.That((mined.Positives, mined.Duplicates, mined.OutsideScores), Is.EqualTo((1, 2, 0)));
    }

    [Test]
    public void Mine_ScoreLimits() =>
        Assert.That(Ids(Miner(new HardNegativeOptions { MinScore = 10, MaxScore = 13 }).Mine(new Query("q", ""), [])), Is.EqualTo("d7 d8 d9 d10"));

    [Test]
    public void Mine_MarginWithoutScoredPositive_NoNegatives() =>
        Assert.That(Ids(Miner(new HardNegativeOptions { RelativeMargin = 0.05 }).Mine(new Query("q", ""), [new Document("elsewhere", "", "x")])),
            Is.Empty);

    [Test]
    public void Mine_LowestPositiveSetsTheMargin() =>
        Assert.That(
            Ids(Miner(new HardNegativeOptions { NumNegatives = 1, AbsoluteMargin = 0.5 }).Mine(new Query("q", ""), [s_corpus[0], s_corpus[9]])),
            Is.EqualTo("d10"));

    [Test]
    public void MineAll_Random_SameForAnyThreads_DifferentForQueriesAndSeeds()
    {
        HardNegativeOptions options = new() { NumNegatives = 5, RangeMax = 20, Random = true };
        TrainingRow[] rows = [.. Enumerable.Range(0, 600).Select(static i => new TrainingRow($"q{i}", "", [s_corpus[2]], []))];
        string[] one = [.. Miner(options).MineAll(rows, 1).Select(static m => Ids(m.Mined))];
        string[] four = [.. Miner(options).MineAll(rows, 4).Select(static m => Ids(m.Mined))];
        Assert.That(four, Is.EqualTo(one));
        Assert.That(one.Distinct().Count(), Is.GreaterThan(500));
        Assert.That(one, Is.All.Not.Contains("d2 ").And.All.Not.Contains("d6"));
        Assert.That(Miner(options with { Seed = 1 }).MineAll(rows, 1).Select(static m => Ids(m.Mined)), Is.Not.EqualTo(one));
    }

    [TestCase(0, 0, 10)]
    [TestCase(3, 5, 5)]
    [TestCase(3, -1, 5)]
    public void BadOptions_Refused(int negatives, int rangeMin, int rangeMax) => Assert.That(
        () => Miner(new HardNegativeOptions { NumNegatives = negatives, RangeMin = rangeMin, RangeMax = rangeMax }), Throws.TypeOf<InputException>());

    /// <summary>
    /// The reference stack mined SciFact's train split by the same rule: the first 8 of the best 60 that are not relevant, ties by row.
    /// </summary>
    [Test]
    public void SciFact_SameNegativesAsTheReference()
    {
        string folder = SharedFolder.Require("data/collections/scifact"), expectedPath = SharedFolder.Require("goldens/finetune/train.jsonl");
        Document[] corpus = [.. Corpus.Read(folder)];
        Bm25Index index = Bm25Index.Build(corpus.Select(static d => (d.Id, $"{d.Title} {d.Text}")), Bm25Options.Default);
        HardNegativeMiner miner = new(corpus, new Bm25Ranker(index), new HardNegativeOptions { NumNegatives = 8, RangeMax = 60 });
        using TrainingSet rows = TrainingSet.Open(folder);
        using TrainingSet expected = TrainingSet.Open(expectedPath);
        List<TrainingRow> mined = [.. miner.MineAll(rows, 2).Select(static m => m.Row)];
        Assert.That(mined.Select(static r => (r.QueryId, r.Query)), Is.EqualTo(expected.Select(static r => (r.QueryId, r.Query))));
        Assert.Multiple(() =>
        {
            for (int i = 0; i < mined.Count; i++)
            {
                Assert.That(mined[i].Positives, Is.EqualTo(expected[i].Positives), mined[i].QueryId);
                Assert.That(mined[i].Negatives, Is.EqualTo(expected[i].Negatives), mined[i].QueryId);
            }
        });
    }

    private static HardNegativeMiner Miner(HardNegativeOptions options) => new(s_corpus, new ByRow(), options);

    private static string Ids(MinedNegatives mined) => string.Join(' ', mined.Negatives.Select(static d => d.Id));

    private sealed class ByRow : IDocumentRanker
    {
        public IReadOnlyList<SearchHit> Rank(Query query, int depth) =>
            [.. Enumerable.Range(0, Math.Min(20, depth)).Select(r => new SearchHit(r, Score(query, r)))];

        public double Score(Query query, int row) => 20 - row;
    }
}
