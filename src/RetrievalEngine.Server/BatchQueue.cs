using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

namespace RetrievalEngine.Server;

/// <summary>
/// Brings the items of many requests (texts, pairs, queries) to one device in batches. A batch takes an item of each waiting request in turn up to a budget, so that a
/// large request does not hold up small ones; who found no room is first in the next. Nobody waits for company: a batch begins as soon as the device is free.
/// </summary>
/// <typeparam name="TItem">What is computed.</typeparam>
/// <typeparam name="TResult">What becomes of it.</typeparam>
internal sealed class BatchQueue<TItem, TResult> : IAsyncDisposable
{
    private readonly Func<IReadOnlyList<IReadOnlyList<TItem>>, TResult[][]> _compute;
    private readonly Func<TItem, int> _cost;
    private readonly long _budget, _most;
    private readonly SemaphoreSlim _device;
    private readonly Action<int, long>? _computed;
    private readonly Lock _lock = new();
    private readonly LinkedList<Request> _requests = [];
    private readonly SemaphoreSlim _work = new(0);
    private readonly Task _loop;
    private long _waitingCost;
    private double _costPerSecond;
    private bool _isStopping;

    /// <summary>Computes with <paramref name="compute"/>, which is given the items of a batch by request and gives the results in their order.</summary>
    /// <param name="compute">Called by one thread at a time, while <paramref name="device"/> is held.</param>
    /// <param name="cost">What an item takes of the budget; not negative.</param>
    /// <param name="budget">The cost of a batch; an item that costs more is a batch of its own.</param>
    /// <param name="most">The cost that may wait; what would go beyond is refused, unless nothing waits.</param>
    /// <param name="device">Held while a batch is computed: queues that share a device share it, and take turns.</param>
    /// <param name="computed">Told the items and the cost of each batch that was computed.</param>
    public BatchQueue(Func<IReadOnlyList<IReadOnlyList<TItem>>, TResult[][]> compute, Func<TItem, int> cost, long budget, long most, SemaphoreSlim device,
        Action<int, long>? computed = null)
    {
        (_compute, _cost, _budget, _most, _device, _computed) = (compute, cost, budget, most, device, computed);
        _loop = Task.Run(LoopAsync);
    }

    /// <summary>Items that wait for a batch.</summary>
    public int Waiting
    {
        get
        {
            lock (_lock) return _requests.Sum(request => request.Items.Length - request.Next);
        }
    }

    /// <summary>The results of <paramref name="items"/>, in their order.</summary>
    /// <exception cref="RequestException">Too much waits already, the server stops, or an item could not be computed.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellation"/>; what was not begun is left out.</exception>
    public async Task<BatchResults<TResult>> RunAsync(TItem[] items, CancellationToken cancellation)
    {
        if (items.Length == 0) return new BatchResults<TResult>([], TimeSpan.Zero, TimeSpan.Zero);
        Request request = new(items, items.Sum(item => (long)_cost(item)));
        lock (_lock)
        {
            if (_isStopping) throw RequestException.Stopping();
            if (_waitingCost > 0 && _waitingCost + request.Cost > _most) throw RequestException.Overloaded(SecondsUntilFree());
            _waitingCost += request.Cost;
            _requests.AddLast(request);
            Wake();
        }

        using CancellationTokenRegistration registration = cancellation.Register(() => request.Completion.TrySetCanceled(cancellation));
        await request.Completion.Task.ConfigureAwait(false);
        return new BatchResults<TResult>(request.Results, request.Queued, request.Computed);
    }

    /// <summary>Refuses what waits, and returns when the batch under way is done.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _isStopping = true;
            foreach (Request request in _requests) request.Completion.TrySetException(RequestException.Stopping());
            Wake();
        }

        await _loop.ConfigureAwait(false);
        _work.Dispose();
    }

    private async Task LoopAsync()
    {
        while (true)
        {
            await _work.WaitAsync().ConfigureAwait(false);
            // What comes while the device is busy with another queue's batch still joins this one.
            await _device.WaitAsync().ConfigureAwait(false);
            try
            {
                List<Part> batch = Pick(out long cost);
                if (batch.Count > 0) Compute(batch, cost);
            }
            finally
            {
                _device.Release();
            }

            lock (_lock)
            {
                if (_requests.Count > 0) Wake();
                else if (_isStopping) return;
            }
        }
    }

    /// <summary>Lets the loop look once more; the lock is held.</summary>
    private void Wake()
    {
        if (_work.CurrentCount == 0) _work.Release();
    }

    private List<Part> Pick(out long taken)
    {
        List<Part> batch = [];
        long left = _budget;
        int items = 0;
        lock (_lock)
        {
            for (LinkedListNode<Request>? node = _requests.First, next; node is not null; node = next)
            {
                next = node.Next;
                if (node.Value.Completion.Task.IsCompleted) Remove(node);
            }

            List<Part> open = [.. _requests.Select(request => new Part(request, request.Next))];
            while (open.Count > 0)
            {
                for (int i = 0; i < open.Count; i++)
                {
                    Part part = open[i];
                    Request request = part.Request;
                    if (request.Next == request.Items.Length || (items > 0 && _cost(request.Items[request.Next]) > left))
                    {
                        open.RemoveAt(i--);
                        continue;
                    }

                    long cost = _cost(request.Items[request.Next]);
                    if (part.Count++ == 0) batch.Add(part);
                    request.Next++;
                    request.Cost -= cost;
                    _waitingCost -= cost;
                    left -= cost;
                    items++;
                }
            }

            // Who had a turn goes behind those who had none.
            foreach (Part part in batch)
            {
                part.Request.Begin();
                _requests.Remove(part.Request);
                if (part.Request.Next < part.Request.Items.Length) _requests.AddLast(part.Request);
            }
        }

        taken = _budget - left;
        return batch;
    }

    private void Compute(List<Part> batch, long cost)
    {
        long start = Stopwatch.GetTimestamp();
        int items = batch.Sum(part => part.Count);
        try
        {
            TResult[][] results = _compute([.. batch.Select(part => part.Items)]);
            for (int i = 0; i < batch.Count; i++) results[i].CopyTo(batch[i].Request.Results.AsSpan(batch[i].First));
            _computed?.Invoke(items, cost);
        }
        catch (Exception) when (items > 1)
        {
            // Whose fault it was is found out by computing each alone; the others are not to suffer.
            foreach (Part part in batch) ComputeAlone(part);
        }
        catch (Exception e)
        {
            batch[0].Request.Completion.TrySetException(Failure(e));
        }

        TimeSpan time = Stopwatch.GetElapsedTime(start);
        foreach (Part part in batch) part.Request.Finish(part.Count, time);
        double rate = cost / Math.Max(time.TotalSeconds, 1e-6);
        lock (_lock) _costPerSecond = _costPerSecond == 0 ? rate : (0.8 * _costPerSecond) + (0.2 * rate);
    }

    private void ComputeAlone(Part part)
    {
        for (int i = 0; i < part.Count; i++)
        {
            if (part.Request.Completion.Task.IsCompleted) return;
            try
            {
                part.Request.Results[part.First + i] = _compute([[part.Items[i]]])[0][0];
            }
            catch (Exception e)
            {
                part.Request.Completion.TrySetException(Failure(e));
            }
        }
    }

    private static RequestException Failure(Exception e) => e as RequestException ?? RequestException.Failed(e.Message);

    private void Remove(LinkedListNode<Request> node)
    {
        _waitingCost -= node.Value.Cost;
        _requests.Remove(node);
    }

    /// <summary>How long what waits will take at the rate of late; the lock is held.</summary>
    private int SecondsUntilFree() => _costPerSecond == 0 ? 1 : (int)Math.Clamp(Math.Ceiling(_waitingCost / _costPerSecond), 1, 3600);

    /// <summary>Some items of a request that are in one batch.</summary>
    private sealed class Part(Request request, int first)
    {
        public Request Request => request;

        public int First => first;

        public int Count { get; set; }

        public ArraySegment<TItem> Items => new(request.Items, first, Count);
    }

    private sealed class Request(TItem[] items, long cost)
    {
        private readonly long _arrived = Stopwatch.GetTimestamp();
        private int _done;

        public TItem[] Items => items;

        public TResult[] Results { get; } = new TResult[items.Length];

        public TaskCompletionSource Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>The first item that is in no batch yet.</summary>
        public int Next { get; set; }

        /// <summary>The cost of the items from there on.</summary>
        public long Cost { get; set; } = cost;

        /// <summary>Until the first batch began.</summary>
        public TimeSpan Queued { get; private set; }

        /// <summary>The batches that it rode in.</summary>
        public TimeSpan Computed { get; private set; }

        public void Begin()
        {
            if (_done == 0 && Queued == TimeSpan.Zero) Queued = Stopwatch.GetElapsedTime(_arrived);
        }

        public void Finish(int count, TimeSpan time)
        {
            Computed += time;
            _done += count;
            if (_done == items.Length) Completion.TrySetResult();
        }
    }
}
