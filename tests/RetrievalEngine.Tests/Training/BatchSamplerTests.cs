using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Data;
using RetrievalEngine.Training;

namespace RetrievalEngine.Tests.Training;

[TestFixture]
internal sealed class BatchSamplerTests
{
    [TestCase(10, 4, true)]
    [TestCase(10, 4, false)]
    [TestCase(1, 8, true)]
    [TestCase(7, 7, true)]
    public void EveryRowComesOnceAnEpoch(int rows, int batchSize, bool shuffle)
    {
        BatchSampler sampler = new(rows, batchSize, 2, seed: 3, shuffle);
        for (int epoch = 0; epoch < 3; epoch++)
        {
            List<int> seen = [];
            for (int i = 0; i < sampler.BatchesPerEpoch; i++) seen.AddRange(sampler.Rows((epoch * sampler.BatchesPerEpoch) + i).ToArray());
            if (shuffle) seen.Sort();
            Assert.That(seen, Is.EqualTo(Enumerable.Range(0, rows)));
        }
    }

    [Test]
    public void EpochsDifferAndAnySamplerGivesTheSameBatchOutOfOrder()
    {
        BatchSampler sampler = new(100, 10, 2, seed: 3, shuffle: true), other = new(100, 10, 2, seed: 3, shuffle: true);
        int[] first = sampler.Rows(0).ToArray(), second = sampler.Rows(10).ToArray();
        Assert.That(first, Is.Not.EqualTo(second));
        Assert.That(other.Rows(10).ToArray(), Is.EqualTo(second));
    }

    [Test]
    public void WithoutShufflingTheFirstPositiveAndTheFirstNegativesAreTaken()
    {
        List<Document> group = new BatchSampler(1, 1, 3, seed: 1, shuffle: false).Group(Row(2, 5), 0, 0);
        Assert.That(group.Select(d => d.Id), Is.EqualTo(new[] { "p0", "n0", "n1" }));
    }

    [Test]
    public void NegativesAreDistinctWhereThereAreEnough()
    {
        BatchSampler sampler = new(1000, 1, 6, seed: 1, shuffle: true);
        HashSet<string> positives = [], negatives = [];
        for (int row = 0; row < 200; row++)
        {
            List<Document> group = sampler.Group(Row(2, 8), row, row);
            Assert.That(group.Skip(1).Select(d => d.Id).Distinct().Count(), Is.EqualTo(5));
            positives.Add(group[0].Id);
            negatives.UnionWith(group.Skip(1).Select(d => d.Id));
        }

        Assert.That((positives.Count, negatives.Count), Is.EqualTo((2, 8)));
    }

    [Test]
    public void TooFewNegativesStartOverAndNoneGivesThePositiveAlone()
    {
        BatchSampler sampler = new(1, 1, 6, seed: 1, shuffle: false);
        Assert.That(sampler.Group(Row(1, 2), 0, 0).Select(d => d.Id), Is.EqualTo(new[] { "p0", "n0", "n1", "n0", "n1", "n0" }));
        Assert.That(sampler.Group(Row(1, 0), 0, 0).Select(d => d.Id), Is.EqualTo(new[] { "p0" }));
    }

    private static TrainingRow Row(int positives, int negatives) => new("q", "query",
        [.. Enumerable.Range(0, positives).Select(i => new Document($"p{i}", "", ""))], [.. Enumerable.Range(0, negatives).Select(i => new Document($"n{i}", "", ""))]);
}
