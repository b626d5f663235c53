using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Search;

namespace RetrievalEngine.Tests.Search;

internal sealed class FlatIndexTests
{
    private CpuBackend _backend = null!;
    private Arena _arena = null!;

    [SetUp]
    public void SetUp()
    {
        _backend = new CpuBackend(2);
        _arena = new Arena(_backend);
    }

    [TearDown]
    public void TearDown()
    {
        _arena.Dispose();
        _backend.Dispose();
    }

    [TestCase(1, 1, 1, new[] { 1 })]
    [TestCase(3, 5, 7, new[] { 4, 1, 9 })]
    [TestCase(17, 33, 10, new[] { 100 })]
    [TestCase(5, 64, 200, new[] { 37, 0, 120, 1 })]
    [TestCase(1100, 8, 3, new[] { 50, 51 })]
    public void Search_AnyShards_EqualsSortingAllScores(int queries, int dimensions, int k, int[] shardRows)
    {
        Random random = new(7);
        // Small whole numbers: products and sums are exact, and many scores tie.
        float[] rows = Values(random, shardRows.Sum() * dimensions), wanted = Values(random, queries * dimensions);
        FlatIndex index = Index(rows, dimensions, shardRows);
        float[] scores = new float[queries * k];
        long[] found = new long[queries * k];
        index.Search(wanted, k, scores, found);

        for (int q = 0; q < queries; q++)
        {
            (float Score, long Row)[] expected = [.. Enumerable.Range(0, shardRows.Sum())
                .Select(r => (Dot(wanted, q, rows, r, dimensions), (long)r))
                .OrderByDescending(h => h.Item1).ThenBy(h => h.Item2)
                .Concat(Enumerable.Repeat((float.NegativeInfinity, -1L), k)).Take(k)];
            Assert.That(found.AsSpan(q * k, k).ToArray(), Is.EqualTo(expected.Select(e => e.Row)), $"rows of query {q}");
            Assert.That(scores.AsSpan(q * k, k).ToArray(), Is.EqualTo(expected.Select(e => e.Score)), $"scores of query {q}");
        }
    }

    [Test]
    public void Search_OneQueryOrMany_SameBits()
    {
        Random random = new(3);
        const int Dimensions = 48, Queries = 40, K = 12;
        float[] rows = [.. Enumerable.Range(0, 500 * Dimensions).Select(_ => random.NextSingle() - 0.5f)];
        float[] queries = [.. Enumerable.Range(0, Queries * Dimensions).Select(_ => random.NextSingle() - 0.5f)];
        FlatIndex index = Index(rows, Dimensions, [300, 200]);
        (float[] allScores, long[] allRows) = Search(index, queries, K);
        for (int q = 0; q < Queries; q++)
        {
            (float[] scores, long[] found) = Search(index, queries[(q * Dimensions)..((q + 1) * Dimensions)], K);
            Assert.That(scores, Is.EqualTo(allScores[(q * K)..((q + 1) * K)]));
            Assert.That(found, Is.EqualTo(allRows[(q * K)..((q + 1) * K)]));
        }
    }

    [Test]
    public void Search_NoQueries_FindsNothing() => Assert.DoesNotThrow(() => Index([1, 2], 2, [1]).Search([], 5, [], []));

    [Test]
    public void Search_Cancelled_Stops() => Assert.Throws<OperationCanceledException>(
        () => Index([1, 2], 2, [1]).Search([1, 1], 1, new float[1], new long[1], cancellation: new CancellationToken(canceled: true)));

    [Test]
    public void Search_WrongLengths_AreNamed()
    {
        FlatIndex index = Index([1, 2], 2, [1]);
        Assert.That(() => index.Search([1, 1, 1], 1, new float[1], new long[1]), Throws.ArgumentException.With.Message.Contains("no queries of 2"));
        Assert.That(() => index.Search([1, 1], 2, new float[1], new long[2]),
            Throws.ArgumentException.With.Message.Contains("need 2 scores and rows"));
    }

    [Test]
    public void Constructor_ShardOfOtherShape_IsRefused()
    {
        Tensor shard = _arena.Allocate(new Shape(3, 4));
        Assert.That(() => new FlatIndex(_backend, 5, [new VectorShard(shard)]), Throws.ArgumentException.With.Message.Contains("must be [rows, 5]"));
    }

    private static (float[] Scores, long[] Rows) Search(FlatIndex index, float[] queries, int k)
    {
        float[] scores = new float[queries.Length / index.Dimensions * k];
        long[] rows = new long[scores.Length];
        index.Search(queries, k, scores, rows);
        return (scores, rows);
    }

    private static float[] Values(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (float)random.Next(-2, 3))];

    private static float Dot(float[] a, int i, float[] b, int j, int dimensions)
    {
        double sum = 0;
        for (int d = 0; d < dimensions; d++) sum += (double)a[i * dimensions + d] * b[j * dimensions + d];
        return (float)sum;
    }

    private FlatIndex Index(float[] rows, int dimensions, int[] shardRows)
    {
        List<VectorShard> shards = [];
        int first = 0;
        foreach (int count in shardRows)
        {
            Tensor shard = _arena.Allocate(new Shape(count, dimensions));
            _backend.Upload<float>(rows.AsSpan(first * dimensions, count * dimensions), shard);
            shards.Add(new VectorShard(shard));
            first += count;
        }

        return new FlatIndex(_backend, dimensions, shards);
    }
}
