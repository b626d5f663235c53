using System;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Threading;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>
/// A fixed set of threads kept hot: between two ops they spin for some microseconds before they sleep, so that handing out work costs about as much as
/// a cache miss. The caller is one of the threads. Calls from several threads take turns.
/// </summary>
internal sealed unsafe class Workers : IDisposable
{
    /// <summary>Most tasks of one <see cref="Run"/>.</summary>
    public const int MaxTasks = (1 << 20) - 1;

    private const int SpinsBeforeSleep = 4000;
    private readonly Thread[] _threads;
    private readonly SemaphoreSlim _wake = new(0);
    private readonly Lock _turn = new();
    private delegate*<void*, int, void> _invoke;
    private void* _job;
    private ExceptionDispatchInfo? _failure;
    private int _done, _sleepers;
    private volatile bool _stopping;

    // generation << 40 | tasks << 20 | next: one compare-and-swap claims a task, and a thread that comes late can never claim one of another generation.
    private long _state;

    /// <summary>Starts <paramref name="threads"/> - 1 threads.</summary>
    public Workers(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        _threads = new Thread[threads - 1];
        for (int i = 0; i < _threads.Length; i++)
        {
            _threads[i] = new Thread(Loop) { IsBackground = true, Name = $"compute {i + 1}" };
            _threads[i].Start();
        }
    }

    /// <summary>Threads that take tasks, the caller included.</summary>
    public int Count => _threads.Length + 1;

    /// <summary>Runs tasks 0 … <paramref name="tasks"/> - 1 of <paramref name="job"/> and returns when all are done. The first exception of a task is thrown here.</summary>
    public void Run<TJob>(in TJob job, int tasks)
        where TJob : struct, IJob
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(tasks, MaxTasks);
        if (tasks <= 0) return;
        TJob copy = job;
        if (tasks == 1 || _threads.Length == 0)
        {
            for (int task = 0; task < tasks; task++) copy.Run(task);
            return;
        }

        lock (_turn)
        {
            _invoke = &Invoke<TJob>;
            _job = Unsafe.AsPointer(ref copy);
            _failure = null;
            _done = 0;
            long generation = ((Volatile.Read(ref _state) >> 40) + 1) & 0x7FFFFF;
            Interlocked.Exchange(ref _state, (generation << 40) | ((long)tasks << 20));
            int sleepers = Volatile.Read(ref _sleepers);
            if (sleepers > 0) _wake.Release(Math.Min(sleepers, tasks - 1));
            while (TryRunOne())
            {
            }

            SpinWait spin = default;
            while (Volatile.Read(ref _done) != tasks) spin.SpinOnce(sleep1Threshold: -1);
            _failure?.Throw();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopping = true;
        if (_threads.Length > 0) _wake.Release(_threads.Length);
        foreach (Thread thread in _threads) thread.Join();
        _wake.Dispose();
    }

    private static void Invoke<TJob>(void* job, int task)
        where TJob : struct, IJob => Unsafe.AsRef<TJob>(job).Run(task);

    private static bool HasTask(long state) => (state & 0xFFFFF) < ((state >> 20) & 0xFFFFF);

    private bool TryRunOne()
    {
        long state = Volatile.Read(ref _state);
        while (HasTask(state))
        {
            long seen = Interlocked.CompareExchange(ref _state, state + 1, state);
            if (seen != state)
            {
                state = seen;
                continue;
            }

            try
            {
                _invoke(_job, (int)(state & 0xFFFFF));
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(e), null);
            }

            Interlocked.Increment(ref _done);
            return true;
        }

        return false;
    }

    private void Loop()
    {
        while (!_stopping)
        {
            if (TryRunOne()) continue;
            int spins = 0;
            while (!HasTask(Volatile.Read(ref _state)) && spins < SpinsBeforeSleep)
            {
                Thread.SpinWait(8);
                spins++;
            }

            if (spins < SpinsBeforeSleep) continue;
            Interlocked.Increment(ref _sleepers);
            // Looked at once more after announcing the sleep: either this sees the new task or the caller sees the sleeper.
            if (!HasTask(Volatile.Read(ref _state)) && !_stopping) _wake.Wait();
            Interlocked.Decrement(ref _sleepers);
        }
    }
}
