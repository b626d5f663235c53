using System;
using System.Collections.Generic;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Threading;

namespace RetrievalEngine.Search;

/// <summary>
/// Merges small searches that come at the same time: while one scan runs, later callers wait; when it is done, the first of them scans for all that want the
/// same kind of search. A lone caller does not wait for company.
/// </summary>
internal sealed class SearchQueue(int dimensions, SearchQueue.Scan scan)
{
    /// <summary>Queries of a search that is small, and of those that share a scan.</summary>
    public const int MostQueries = 64;

    private readonly Lock _lock = new();
    private readonly List<Waiter> _waiting = [];
    private bool _isBusy;

    /// <summary>Searches for all; <c>check</c> throws when nobody waits any more.</summary>
    public delegate SearchResults Scan(ReadOnlySpan<float> queries, int k, SearchOptions options, Action check);

    /// <summary>Callers that wait for a scan to begin.</summary>
    public int Waiting
    {
        get
        {
            lock (_lock) return _waiting.Count;
        }
    }

    /// <summary>As <see cref="FlatIndex.Search"/>.</summary>
    public SearchResults Search(ReadOnlySpan<float> queries, int k, SearchOptions options, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        Waiter mine = new(queries.ToArray(), k, options, cancellation);
        lock (_lock)
        {
            _waiting.Add(mine);
            if (_isBusy) mine.Signal = new ManualResetEventSlim();
            _isBusy = true;
        }

        if (mine.Signal is { } signal)
        {
            using (signal) Wait(mine, signal, cancellation);
            mine.Failure?.Throw();
            if (mine.Results is { } done) return done;
        }

        Lead(mine);
        cancellation.ThrowIfCancellationRequested();
        mine.Failure?.Throw();
        return mine.Results!;
    }

    /// <summary>Until there is a result, or the turn to scan. Who is cancelled first leaves the queue, and hands the turn on if it has come to it.</summary>
    private void Wait(Waiter mine, ManualResetEventSlim signal, CancellationToken cancellation)
    {
        try
        {
            signal.Wait(cancellation);
        }
        catch (OperationCanceledException)
        {
            lock (_lock)
            {
                if (!_waiting.Remove(mine) && mine.IsInScan) mine.Signal = null;
                else if (mine.Leads) HandOn();
            }

            throw;
        }
    }

    private void Lead(Waiter mine)
    {
        List<Waiter> together = [];
        lock (_lock)
        {
            int queries = 0;
            for (int i = 0; i < _waiting.Count; i++)
            {
                Waiter waiter = _waiting[i];
                int count = waiter.Queries.Length / dimensions;
                if (waiter != mine && (!CanShare(waiter.Options, mine.Options) || queries + count > MostQueries)) continue;
                queries += count;
                waiter.IsInScan = true;
                together.Add(waiter);
                _waiting.RemoveAt(i--);
            }
        }

        try
        {
            Run(together);
        }
        finally
        {
            lock (_lock)
            {
                foreach (Waiter waiter in together)
                {
                    if (waiter != mine) waiter.Signal?.Set();
                }

                HandOn();
            }
        }
    }

    /// <summary>The next caller scans; the lock is held.</summary>
    private void HandOn()
    {
        _isBusy = _waiting.Count > 0;
        if (!_isBusy) return;
        _waiting[0].Leads = true;
        _waiting[0].Signal!.Set();
    }

    private void Run(List<Waiter> together)
    {
        try
        {
            if (together.Count == 1)
            {
                Waiter only = together[0];
                only.Results = scan(only.Queries, only.K, only.Options, only.Cancellation.ThrowIfCancellationRequested);
                return;
            }

            List<float> queries = [];
            List<long> excluded = [];
            int k = 0;
            bool excludes = together.Exists(static waiter => !waiter.Options.ExcludedRows.IsEmpty);
            foreach (Waiter waiter in together)
            {
                queries.AddRange(waiter.Queries);
                k = Math.Max(k, waiter.K);
                for (int q = 0; excludes && q < waiter.Queries.Length / dimensions; q++)
                    excluded.Add(waiter.Options.ExcludedRows.IsEmpty ? -1 : waiter.Options.ExcludedRows.Span[q]);
            }

            SearchOptions options = together[0].Options with { ExcludedRows = excluded.ToArray() };
            SearchResults all = scan(CollectionsMarshal.AsSpan(queries), k, options, () =>
            {
                if (together.TrueForAll(static waiter => waiter.Cancellation.IsCancellationRequested)) throw new OperationCanceledException();
            });
            int first = 0;
            foreach (Waiter waiter in together)
            {
                SearchResults own = new(waiter.Queries.Length / dimensions, waiter.K);
                for (int q = 0; q < own.Queries; q++) own.Take(q, all, first++);
                waiter.Results = own;
            }
        }
        catch (Exception e)
        {
            foreach (Waiter waiter in together) waiter.Failure = ExceptionDispatchInfo.Capture(e);
        }
    }

    private static bool CanShare(SearchOptions one, SearchOptions other) =>
        one with { ExcludedRows = default } == other with { ExcludedRows = default } && one.PrefixDimensions is null && one.Progress is null;

    private sealed class Waiter(float[] queries, int k, SearchOptions options, CancellationToken cancellation)
    {
        public float[] Queries => queries;

        public int K => k;

        public SearchOptions Options => options;

        public CancellationToken Cancellation => cancellation;

        public ManualResetEventSlim? Signal { get; set; }

        public bool Leads { get; set; }

        public bool IsInScan { get; set; }

        public SearchResults? Results { get; set; }

        public ExceptionDispatchInfo? Failure { get; set; }
    }
}
