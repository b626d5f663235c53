using System;
using BenchmarkDotNet.Attributes;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Bench;

/// <summary>
/// A backend and tensors in the sizes of one training step: 288 texts of 64 tokens, hidden 512, intermediate 1408. Every table has the sum of two
/// large tensors as its baseline: the limit that the memory sets.
/// </summary>
[Config(typeof(OpConfig))]
public abstract class OpBenchmarks : IDisposable
{
    protected const int Sequences = 288, SequenceLength = 64, Tokens = Sequences * SequenceLength, Hidden = 512, Inner = 1408, HeadDim = 64;
    protected const long HiddenBytes = (long)Tokens * Hidden * sizeof(float), InnerBytes = (long)Tokens * Inner * sizeof(float);

    private readonly Random _random = new(1);
    private Arena? _arena;
    private Tensor _a, _b, _sum;

    [Params(1, 2)]
    public int Threads { get; set; }

    protected CpuBackend Backend { get; private set; } = null!;

    [GlobalSetup]
    public void Setup()
    {
        Backend = new CpuBackend(Threads);
        _arena = new Arena(Backend);
        (_a, _b, _sum) = (Normal(Tokens, Inner), Normal(Tokens, Inner), Normal(Tokens, Inner));
        Prepare();
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _arena?.Dispose();
        Backend.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark(Baseline = true, Description = "a + b (the memory's limit)")]
    [Traffic(3 * InnerBytes)]
    public void Limit() => Backend.Add(_a, _b, _sum);

    /// <summary>Makes the tensors of the benchmarks.</summary>
    protected abstract void Prepare();

    protected Tensor New(DType dtype, params ReadOnlySpan<long> shape) => _arena!.Allocate(new Shape(shape), dtype);

    protected Tensor Normal(params ReadOnlySpan<long> shape)
    {
        Tensor tensor = New(DType.F32, shape);
        foreach (ref float x in tensor.AsSpan<float>()) x = 2 * _random.NextSingle() - 1;
        return tensor;
    }

    protected Tensor Integers(int count, Func<int, int> value)
    {
        Tensor tensor = New(DType.I32, count);
        Span<int> values = tensor.AsSpan<int>();
        for (int i = 0; i < count; i++) values[i] = value(i);
        return tensor;
    }
}
