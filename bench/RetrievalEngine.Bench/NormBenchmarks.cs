using BenchmarkDotNet.Attributes;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Bench;

/// <summary>RmsNorm, LayerNorm and L2Normalize.</summary>
public class NormBenchmarks : OpBenchmarks
{
    private const float Eps = 1e-5f;
    private Tensor _x, _residual, _sum, _y, _weight, _bias, _mean, _rstd, _dweight, _dbias;

    [Benchmark]
    [Traffic(2 * HiddenBytes)]
    public void RmsForward() => Backend.RmsNormForward(_x, default, _weight, 0, Eps, default, _y, _rstd);

    [Benchmark]
    [Traffic(4 * HiddenBytes)]
    public void RmsForwardResidual() => Backend.RmsNormForward(_x, _residual, _weight, 0, Eps, _sum, _y, _rstd);

    [Benchmark]
    [Traffic(4 * HiddenBytes)]
    public void RmsBackwardAccumulate() => Backend.RmsNormBackward(_residual, _x, _weight, 0, _rstd, _y, accumulate: true, default);

    [Benchmark]
    [Traffic(4 * HiddenBytes)]
    public void RmsBackwardWeight() => Backend.RmsNormBackward(_residual, _x, _weight, 0, _rstd, _y, accumulate: true, _dweight);

    [Benchmark]
    [Traffic(4 * HiddenBytes)]
    public void LayerForwardResidual() => Backend.LayerNormForward(_x, _residual, _weight, _bias, Eps, _sum, _y, _mean, _rstd);

    [Benchmark]
    [Traffic(3 * HiddenBytes)]
    public void LayerBackward() => Backend.LayerNormBackward(_residual, _x, _weight, _mean, _rstd, _y, accumulate: false, default, default);

    [Benchmark]
    [Traffic(3 * HiddenBytes)]
    public void LayerBackwardWeight() => Backend.LayerNormBackward(_residual, _x, _weight, _mean, _rstd, _y, accumulate: false, _dweight, _dbias);

    [Benchmark]
    [Traffic(2 * HiddenBytes)]
    public void L2Forward() => Backend.L2NormalizeForward(_x, _y, _rstd);

    [Benchmark]
    [Traffic(3 * HiddenBytes)]
    public void L2Backward() => Backend.L2NormalizeBackward(_residual, _x, _rstd, _y);

    protected override void Prepare()
    {
        (_x, _residual, _sum, _y) = (Normal(Tokens, Hidden), Normal(Tokens, Hidden), Normal(Tokens, Hidden), Normal(Tokens, Hidden));
        (_weight, _bias, _dweight, _dbias) = (Normal(Hidden), Normal(Hidden), Normal(Hidden), Normal(Hidden));
        (_mean, _rstd) = (Normal(Tokens), Normal(Tokens));
    }
}
