using BenchmarkDotNet.Attributes;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Bench;

/// <summary>Rope, embedding and pooling.</summary>
public class SequenceBenchmarks : OpBenchmarks
{
    private const int Vocabulary = 30_000;
    private Tensor _x, _heads, _positions, _cos, _sin, _table, _tableBF16, _ids, _cuSeqLens, _pooled;

    [Benchmark]
    [Traffic(2 * HiddenBytes)]
    public void Rope() => Backend.Rope(_heads, _positions, _cos, _sin, inverse: false);

    [Benchmark]
    [Traffic(2 * HiddenBytes)]
    public void EmbeddingForward() => Backend.EmbeddingForward(_table, _ids, 1, _x, accumulate: false);

    [Benchmark]
    [Traffic(HiddenBytes * 3 / 2)]
    public void EmbeddingForwardBF16() => Backend.EmbeddingForward(_tableBF16, _ids, 1, _x, accumulate: false);

    [Benchmark]
    [Traffic(3 * HiddenBytes)]
    public void EmbeddingBackward() => Backend.EmbeddingBackward(_x, _ids, 1, _table);

    [Benchmark]
    [Traffic(HiddenBytes)]
    public void PoolMeanForward() => Backend.PoolForward(_x, _cuSeqLens, Pooling.Mean, _pooled);

    [Benchmark]
    [Traffic(HiddenBytes)]
    public void PoolMeanBackward() => Backend.PoolBackward(_pooled, _x, _cuSeqLens, Pooling.Mean, _x);

    protected override void Prepare()
    {
        (_x, _table, _pooled) = (Normal(Tokens, Hidden), Normal(Vocabulary, Hidden), Normal(Sequences, Hidden));
        _heads = Normal(Tokens, Hidden / HeadDim, HeadDim);
        (_cos, _sin) = (Normal(SequenceLength, HeadDim / 2), Normal(SequenceLength, HeadDim / 2));
        _tableBF16 = New(DType.BF16, Vocabulary, Hidden);
        Backend.Cast(_table, _tableBF16);
        _positions = Integers(Tokens, token => token % SequenceLength);
        _ids = Integers(Tokens, token => (int)(token * 7919L % Vocabulary));
        _cuSeqLens = Integers(Sequences + 1, sequence => sequence * SequenceLength);
    }
}
