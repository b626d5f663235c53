using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;

namespace RetrievalEngine.Server.Tests;

/// <summary>Who shares a batch with whom, and what becomes of the others when one fails, leaves or asks for too much.</summary>
internal sealed class BatchQueueTests
{
    private readonly ConcurrentQueue<int[][]> _batches = new();
    private SemaphoreSlim _device = null!;
    private ManualResetEventSlim _mayCompute = null!;
    private BatchQueue<int, string> _queue = null!;

    [SetUp]
    public void SetUp()
    {
        _batches.Clear();
        _device = new SemaphoreSlim(1);
        _mayCompute = new ManualResetEventSlim(true);
        _queue = Create(most: 100);
    }

    [TearDown]
    public async Task TearDown()
    {
        _mayCompute.Set();
        await _queue.DisposeAsync();
        _device.Dispose();
        _mayCompute.Dispose();
    }

    [Test]
    public async Task Results_ComeInTheOrderOfTheItems_InBatchesUpToTheBudget()
    {
        int[] items = [.. Enumerable.Range(1, 9)];
        BatchResults<string> results = await _queue.RunAsync(items, default);
        Assert.That(results.Results, Is.EqualTo(items.Select(i => $"<{i}>")));
        Assert.That(_batches.Select(batch => batch.Single()), Is.EqualTo((int[][])[[1, 2, 3, 4], [5], [6], [7], [8], [9]]), "an item costs its number; a batch 10, an item more is its own");
        Assert.That(results.Computed, Is.GreaterThan(TimeSpan.Zero));
        Assert.That((await _queue.RunAsync([], default)).Results, Is.Empty);
    }

    [Test]
    public async Task AnItemAboveTheBudget_IsABatchOfItsOwn() =>
        Assert.That((await _queue.RunAsync([50, 1], default)).Results, Is.EqualTo((string[])["<50>", "<1>"]));

    [Test]
    public async Task Requests_TakeTurns_SoThatALargeOneDoesNotHoldUpASmallOne()
    {
        Task<BatchResults<string>> first = Blocked([1]);
        Task<BatchResults<string>> large = _queue.RunAsync([.. Enumerable.Repeat(2, 20)], default), small = _queue.RunAsync([2, 2], default);
        _mayCompute.Set();
        await Task.WhenAll(first, large, small);
        int[][] second = _batches.ElementAt(1);
        Assert.That(second.Select(group => group.Length), Is.EqualTo((int[])[3, 2]), "of the large one as many as there is room beside the small one");
        Assert.That(_batches.Skip(2).SelectMany(batch => batch).Sum(group => group.Length), Is.EqualTo(17));
    }

    [Test]
    public async Task WhoFoundNoRoom_IsFirstInTheNextBatch()
    {
        Task<BatchResults<string>> first = Blocked([1]);
        Task<BatchResults<string>>[] large = [.. Enumerable.Range(0, 5).Select(_ => _queue.RunAsync([.. Enumerable.Repeat(2, 4)], default))];
        Task<BatchResults<string>> small = _queue.RunAsync([4], default);
        _mayCompute.Set();
        await Task.WhenAll([first, small, .. large]);
        Assert.That(_batches.ElementAt(1).Length, Is.EqualTo(5), "the five large ones fill a batch");
        Assert.That(_batches.ElementAt(2)[0], Is.EqualTo((int[])[4]));
    }

    [Test]
    public async Task AnItemThatCostsNothing_IsComputedToo() => Assert.That((await _queue.RunAsync([0, 3, 0], default)).Results, Is.EqualTo((string[])["<0>", "<3>", "<0>"]));

    [Test]
    public async Task WhatComesWhileTheDeviceIsBusy_SharesTheNextBatch()
    {
        Task<BatchResults<string>> first = Blocked([1]);
        Task<BatchResults<string>>[] others = [.. Enumerable.Range(0, 5).Select(_ => _queue.RunAsync([2], default))];
        Assert.That(_queue.Waiting, Is.EqualTo(5));
        _mayCompute.Set();
        await Task.WhenAll([first, .. others]);
        Assert.That(_batches.Select(batch => batch.Length), Is.EqualTo((int[])[1, 5]));
        Assert.That((await others[4]).Queued, Is.GreaterThan(TimeSpan.Zero));
        Assert.That(_queue.Waiting, Is.Zero);
    }

    [Test]
    public async Task WhoHasLeft_IsNotComputed_AndMakesRoom()
    {
        using CancellationTokenSource leaves = new();
        Task<BatchResults<string>> first = Blocked([1]), left = _queue.RunAsync([.. Enumerable.Repeat(9, 11)], leaves.Token);
        Assert.That(async () => await _queue.RunAsync([3, 3], default), Throws.TypeOf<RequestException>().With.Property("Status").EqualTo(429));
        await leaves.CancelAsync();
        Assert.That(async () => await left, Throws.InstanceOf<OperationCanceledException>());
        _mayCompute.Set();
        await first;
        Assert.That((await _queue.RunAsync([3], default)).Results, Is.EqualTo((string[])["<3>"]));
        Assert.That(_batches.SelectMany(batch => batch).SelectMany(group => group), Has.No.Member(9));
        _mayCompute.Reset();
        Task<BatchResults<string>> again = Blocked([1]), full = _queue.RunAsync([.. Enumerable.Repeat(9, 11)], default);
        _mayCompute.Set();
        await Task.WhenAll(again, full);
    }

    [Test]
    public async Task AnItemThatFails_FailsItsRequestAlone()
    {
        Task<BatchResults<string>> first = Blocked([1]);
        Task<BatchResults<string>> good = _queue.RunAsync([2, 2], default), bad = _queue.RunAsync([1, -1], default), other = _queue.RunAsync([3], default);
        _mayCompute.Set();
        Assert.That(async () => await bad, Throws.TypeOf<RequestException>().With.Message.EqualTo("-1 fails").And.Property("Status").EqualTo(500));
        Assert.That((await good).Results.Concat((await other).Results).Concat((await first).Results), Is.EqualTo((string[])["<2>", "<2>", "<3>", "<1>"]));
        Assert.That(async () => await _queue.RunAsync([-1], default), Throws.TypeOf<RequestException>());
        Assert.That((await _queue.RunAsync([4], default)).Results, Is.EqualTo((string[])["<4>"]), "the queue lives on");
    }

    [Test]
    public async Task TooMuch_IsRefusedWithATime_ButNotWhereNothingWaits()
    {
        Assert.That((await _queue.RunAsync([.. Enumerable.Repeat(10, 20)], default)).Results, Has.Length.EqualTo(20), "200 where 100 may wait");
        Task<BatchResults<string>> first = Blocked([1]), waits = _queue.RunAsync([60], default);
        Assert.That(async () => await _queue.RunAsync([41], default), Throws.TypeOf<RequestException>().With.Property("Status").EqualTo(429).And.Property("RetryAfter").EqualTo(1));
        Task<BatchResults<string>> fits = _queue.RunAsync([40], default);
        _mayCompute.Set();
        await Task.WhenAll(first, waits, fits);
    }

    [Test]
    public async Task Stopping_FinishesTheBatch_AndRefusesTheRest()
    {
        Task<BatchResults<string>> first = Blocked([1]), waits = _queue.RunAsync([2], default);
        Task stopped = _queue.DisposeAsync().AsTask();
        Assert.That(async () => await waits, Throws.TypeOf<RequestException>().With.Property("Status").EqualTo(503));
        Assert.That(stopped.IsCompleted, Is.False);
        _mayCompute.Set();
        await stopped;
        Assert.That((await first).Results, Is.EqualTo((string[])["<1>"]));
        Assert.That(async () => await _queue.RunAsync([2], default), Throws.TypeOf<RequestException>().With.Property("Status").EqualTo(503));
        _queue = Create(most: 100);
    }

    [Test]
    public async Task TwoQueues_TakeTurnsOnADevice()
    {
        int computing = 0, most = 0;
        string[][] Watched(IReadOnlyList<IReadOnlyList<int>> groups)
        {
            most = Math.Max(most, Interlocked.Increment(ref computing));
            Thread.Sleep(1);
            Interlocked.Decrement(ref computing);
            return [.. groups.Select(group => group.Select(i => $"<{i}>").ToArray())];
        }

        BatchQueue<int, string> one = new(Watched, static _ => 1, 1, 1000, _device), two = new(Watched, static _ => 1, 1, 1000, _device);
        await using (one.ConfigureAwait(false))
        await using (two.ConfigureAwait(false))
        {
            await Task.WhenAll(Enumerable.Range(0, 40).Select(i => (i % 2 == 0 ? one : two).RunAsync([i], default)));
        }

        Assert.That(most, Is.EqualTo(1));
    }

    /// <summary>A request whose batch has begun and does not end before it may.</summary>
    private Task<BatchResults<string>> Blocked(int[] items)
    {
        _mayCompute.Reset();
        int before = _batches.Count;
        Task<BatchResults<string>> task = _queue.RunAsync(items, default);
        Assert.That(SpinWait.SpinUntil(() => _batches.Count > before, TimeSpan.FromSeconds(30)), "the batch begins");
        return task;
    }

    private BatchQueue<int, string> Create(long most) => new(Compute, static item => Math.Abs(item), budget: 10, most, _device);

    private string[][] Compute(IReadOnlyList<IReadOnlyList<int>> groups)
    {
        _batches.Enqueue([.. groups.Select(group => group.ToArray())]);
        _mayCompute.Wait();
        if (groups.Any(group => group.Contains(-1))) throw new InvalidOperationException("-1 fails");
        return [.. groups.Select(group => group.Select(i => $"<{i}>").ToArray())];
    }
}
