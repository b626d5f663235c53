using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Search;

namespace RetrievalEngine.Tests.Search;

/// <summary>A query is one number here, and finds the row of that number.</summary>
internal sealed class SearchQueueTests
{
    private readonly List<float[]> _scans = [];
    private ManualResetEventSlim _begun = null!, _mayEnd = null!;
    private SearchQueue _queue = null!;

    [SetUp]
    public void SetUp()
    {
        _scans.Clear();
        (_begun, _mayEnd) = (new ManualResetEventSlim(), new ManualResetEventSlim());
        _queue = new SearchQueue(1, (queries, k, options, check) =>
        {
            _begun.Set();
            _mayEnd.Wait();
            check();
            if (queries.Contains(-1)) throw new InvalidOperationException("no such row");
            _scans.Add(queries.ToArray());
            SearchResults results = new(queries.Length, k);
            for (int q = 0; q < queries.Length; q++)
            {
                for (int i = 0; i < k; i++) results.Rows[(q * k) + i] = (long)queries[q] + i;
            }

            return results;
        });
    }

    [TearDown]
    public void TearDown()
    {
        _begun.Dispose();
        _mayEnd.Dispose();
    }

    [Test]
    public async Task Waiting_SearchesOfOneKind_ShareTheNextScan()
    {
        Task<SearchResults> first = Start(0, 2);
        _begun.Wait();
        SearchOptions filtered = new() { Filter = new RowSet(9) };
        Task<SearchResults>[] same = [.. Enumerable.Range(1, 5).Select(i => Start(10 * i, i))];
        WaitFor(5);
        Task<SearchResults> other = Start(90, 1, filtered);
        WaitFor(6);
        using CancellationTokenSource source = new();
        Task<SearchResults> leaving = Start(95, 1, cancellation: source.Token);
        WaitFor(7);
        await source.CancelAsync();
        Assert.That(async () => await leaving, Throws.InstanceOf<OperationCanceledException>(), "who is cancelled does not wait for the others");
        _mayEnd.Set();
        Assert.That((await first).Rows, Is.EqualTo(new[] { 0, 1 }));
        for (int i = 1; i <= 5; i++) Assert.That((await same[i - 1]).Rows, Is.EqualTo(Enumerable.Range(10 * i, i)), "each has its own query and k");
        Assert.That((await other).Rows, Is.EqualTo(new[] { 90 }));
        Assert.That(_scans.Select(static s => s.Length), Is.EquivalentTo(new[] { 1, 5, 1 }));
        Assert.That((await Start(7, 1)).Rows, Is.EqualTo(new[] { 7 }), "and it goes on");
    }

    [Test]
    public async Task AFailure_ReachesAllThatShareTheScan_AndNobodyElse()
    {
        Task<SearchResults> first = Start(0, 1);
        _begun.Wait();
        Task<SearchResults> bad = Start(-1, 1), beside = Start(1, 1);
        WaitFor(2);
        _mayEnd.Set();
        Assert.That((await first).Rows, Is.EqualTo(new[] { 0 }));
        Assert.That(async () => await bad, Throws.InvalidOperationException);
        Assert.That(async () => await beside, Throws.InvalidOperationException);
        Assert.That((await Start(7, 1)).Rows, Is.EqualTo(new[] { 7 }));
    }

    private Task<SearchResults> Start(float query, int k, SearchOptions? options = null, CancellationToken cancellation = default) =>
        Task.Factory.StartNew(() => _queue.Search([query], k, options ?? SearchOptions.Default, cancellation), CancellationToken.None,
            TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private void WaitFor(int waiting) => Assert.That(() => _queue.Waiting, Is.EqualTo(waiting).After(10_000, 5));
}
