using BenchmarkDotNet.Attributes;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Bench;

public class ActivationBenchmarks : OpBenchmarks
{
    private Tensor _dy, _gate, _up, _y, _dgate, _dup;

    [Params(Activation.Silu, Activation.GeluErf, Activation.GeluTanh, Activation.Relu)]
    public Activation Function { get; set; }

    [Benchmark]
    [Traffic(2 * InnerBytes)]
    public void Forward() => Backend.ActivationForward(_gate, Function, _y);

    [Benchmark]
    [Traffic(3 * InnerBytes)]
    public void Backward() => Backend.ActivationBackward(_dy, _gate, Function, _dgate);

    [Benchmark]
    [Traffic(3 * InnerBytes)]
    public void GatedForward() => Backend.GatedActivationForward(_gate, _up, Function, _y);

    [Benchmark]
    [Traffic(5 * InnerBytes)]
    public void GatedBackward() => Backend.GatedActivationBackward(_dy, _gate, _up, Function, _dgate, _dup);

    protected override void Prepare()
    {
        (_dy, _gate, _up) = (Normal(Tokens, Inner), Normal(Tokens, Inner), Normal(Tokens, Inner));
        (_y, _dgate, _dup) = (Normal(Tokens, Inner), Normal(Tokens, Inner), Normal(Tokens, Inner));
    }
}
