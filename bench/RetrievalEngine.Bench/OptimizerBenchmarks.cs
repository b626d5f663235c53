using BenchmarkDotNet.Attributes;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Bench;

/// <summary>Loss, gradient norm and AdamW.</summary>
public class OptimizerBenchmarks : OpBenchmarks
{
    private const int Queries = 1024, Passages = 4096;
    private const long ScoreBytes = (long)Queries * Passages * sizeof(float);
    private Tensor _scores, _dscores, _targets, _excluded, _losses, _parameter, _gradient, _m, _v, _norm;

    [Benchmark]
    [Traffic(2 * ScoreBytes)]
    public void CrossEntropy() => Backend.CrossEntropy(_scores, _targets, default, 1, _losses, _dscores);

    [Benchmark]
    [Traffic(2 * ScoreBytes + ScoreBytes / 4)]
    public void CrossEntropyExcluded() => Backend.CrossEntropy(_scores, _targets, _excluded, 1, _losses, _dscores);

    [Benchmark]
    [Traffic(InnerBytes)]
    public void SumOfSquares() => Backend.SumOfSquares(_gradient, _norm, accumulate: false);

    [Benchmark]
    [Traffic(7 * InnerBytes)]
    public void AdamWStep() => Backend.AdamWStep(_parameter, _gradient, _m, _v, new AdamW(1e-9f), default);

    protected override void Prepare()
    {
        (_scores, _dscores, _losses, _norm) = (Normal(Queries, Passages), Normal(Queries, Passages), Normal(Queries), Normal(1));
        _targets = Integers(Queries, query => query * 4);
        _excluded = New(DType.I8, Queries, Passages);
        _excluded.AsSpan<byte>().Clear();
        (_parameter, _gradient, _m, _v) = (Normal(Tokens, Inner), Normal(Tokens, Inner), Normal(Tokens, Inner), Normal(Tokens, Inner));
        foreach (ref float v in _v.AsSpan<float>()) v *= v;
    }
}
