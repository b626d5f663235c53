using BenchmarkDotNet.Attributes;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Bench;

/// <summary>
/// Matrix products, LoRA products, search and quantisation; <c>matmul</c>, <c>lora</c> and <c>topk</c> compare them with peers and limits.
/// </summary>
public class ProductBenchmarks : OpBenchmarks
{
    private const int Rank = 16, Rows = 100_000, Queries = 16, Depth = 100;
    private readonly Tensor[] _s = new Tensor[1], _out = new Tensor[1];
    private readonly Projection[] _projections = new Projection[1];
    private readonly ProjectionGradient[] _gradients = new ProjectionGradient[1];
    private Tensor _x, _dx, _y, _w, _rows, _bytes, _scales, _queries, _best, _indices;

    [Benchmark]
    public void MatMul() => Backend.MatMul(_x, _w, _y, transB: true);

    [Benchmark]
    public void LoraMatMulForward() => Backend.LoraMatMulForward(_x, _projections, Dropout.None, _s, _out);

    [Benchmark]
    public void LoraMatMulBackward() => Backend.LoraMatMulBackward(_out, _x, _projections, Dropout.None, _s, _gradients, _dx);

    [Benchmark]
    [Traffic((long)Rows * Hidden * sizeof(float))]
    public void ScoreTopK() => Backend.ScoreTopK(_queries, _rows, default, default, 0, _best, _indices, merge: false);

    [Benchmark]
    [Traffic((long)Rows * Hidden)]
    public void ScoreTopKOfBytes() => Backend.ScoreTopK(_queries, _bytes, _scales, default, 0, _best, _indices, merge: false);

    [Benchmark]
    [Traffic((long)Rows * Hidden * (sizeof(float) + 1))]
    public void QuantizeRows() => Backend.QuantizeRows(_rows, _bytes, _scales);

    protected override void Prepare()
    {
        (_x, _dx, _y, _w) = (Normal(Tokens, Hidden), Normal(Tokens, Hidden), Normal(Tokens, Inner), Normal(Inner, Hidden));
        (_s[0], _out[0]) = (Normal(Tokens, Rank), _y);
        _projections[0] = new Projection(_w, default, Normal(Rank, Hidden), Normal(Inner, Rank), 2);
        _gradients[0] = new ProjectionGradient(A: Normal(Rank, Hidden), B: Normal(Inner, Rank));
        (_rows, _bytes, _scales) = (Normal(Rows, Hidden), New(DType.I8, Rows, Hidden), New(DType.F32, Rows));
        Backend.QuantizeRows(_rows, _bytes, _scales);
        (_queries, _best, _indices) = (Normal(Queries, Hidden), New(DType.F32, Queries, Depth), New(DType.I64, Queries, Depth));
    }
}
