using BenchmarkDotNet.Attributes;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Bench;

public class ElementwiseBenchmarks : OpBenchmarks
{
    private Tensor _x, _y, _bf16, _f16;

    [Benchmark]
    [Traffic(InnerBytes)]
    public void Fill() => Backend.Fill(_y, 1);

    [Benchmark]
    [Traffic(2 * InnerBytes)]
    public void Scale() => Backend.Scale(_x, 2, _y);

    [Benchmark]
    [Traffic(3 * InnerBytes)]
    public void AddInPlace() => Backend.Add(_y, _x, _y);

    [Benchmark]
    [Traffic(InnerBytes * 3 / 2)]
    public void F32ToBF16() => Backend.Cast(_x, _bf16);

    [Benchmark]
    [Traffic(InnerBytes * 3 / 2)]
    public void BF16ToF32() => Backend.Cast(_bf16, _y);

    [Benchmark]
    [Traffic(InnerBytes * 3 / 2)]
    public void F32ToF16() => Backend.Cast(_x, _f16);

    [Benchmark]
    [Traffic(InnerBytes * 3 / 2)]
    public void F16ToF32() => Backend.Cast(_f16, _y);

    protected override void Prepare()
    {
        (_x, _y) = (Normal(Tokens, Inner), Normal(Tokens, Inner));
        (_bf16, _f16) = (New(DType.BF16, Tokens, Inner), New(DType.F16, Tokens, Inner));
    }
}
