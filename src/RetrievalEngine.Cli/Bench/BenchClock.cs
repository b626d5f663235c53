using System;
using System.Collections.Generic;
using System.Diagnostics;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda;

namespace RetrievalEngine.Cli.Bench;

/// <summary>
/// Times work on a backend: on a GPU by its own clock, on the CPU by the host's. Before each repetition more memory is read than the caches hold, so that no
/// result comes from them; on a GPU that also hides the time of launching.
/// </summary>
internal sealed class BenchClock : IDisposable
{
    private const long HostCacheBytes = 64L << 20;
    private const int WarmUps = 2, FewestRuns = 3, MostRuns = 1000;
    private readonly IBackend _backend;
    private readonly double _seconds;
    private readonly DeviceMemory _memory;
    private readonly Tensor _flushed, _result;

    /// <summary>A clock that gives each case about <paramref name="seconds"/>, and where <paramref name="flushBytes"/> are not said flushes the caches.</summary>
    public BenchClock(IBackend backend, double seconds, long? flushBytes)
    {
        _backend = backend;
        _seconds = seconds;
        long elements = Math.Max(
            1, (flushBytes ?? 4 * (backend is CudaBackend cuda ? cuda.Device.CacheBytes : HostCacheBytes)) / sizeof(float));
        _memory = backend.Allocate((elements + 1) * sizeof(float));
        _flushed = new Tensor(_memory, 0, new Shape(elements), DType.F32);
        _result = new Tensor(_memory, _flushed.Bytes, new Shape(1), DType.F32);
        backend.Fill(_flushed, 1);
    }

    /// <summary>Whether <paramref name="backend"/> is a GPU.</summary>
    public static bool IsDevice(IBackend backend) => backend is CudaBackend;

    /// <summary>Median and shortest time of <paramref name="work"/>, and how often it was done.</summary>
    public (double Median, double Shortest, int Runs) Measure(Action work)
    {
        for (int i = 0; i < WarmUps; i++) work();
        _backend.Synchronize();
        List<double> times = [];
        for (Stopwatch clock = Stopwatch.StartNew(); times.Count < FewestRuns || (times.Count < MostRuns && clock.Elapsed.TotalSeconds < _seconds);)
        {
            _backend.SumOfSquares(_flushed, _result, accumulate: false);
            times.Add(Time(work));
        }

        times.Sort();
        return (times[times.Count / 2], times[0], times.Count);
    }

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();

    private double Time(Action work)
    {
        if (_backend is CudaBackend cuda) return cuda.Seconds(work);
        long start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
