using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Bench;

/// <summary>A backend that adds up the time of each op, for the table of shares under a benchmark.</summary>
internal sealed class TimedBackend(IBackend inner) : IBackend
{
    private readonly Dictionary<string, (double Seconds, int Calls)> _times = [];

    public string Name => inner.Name;

    public long? FreeBytes => inner.FreeBytes;

    public DType ActivationDType => inner.ActivationDType;

    public DeviceMemory Allocate(long bytes) => inner.Allocate(bytes);

    public Tensor Load(MappedFile file, long offset, Shape shape, DType dtype) => inner.Load(file, offset, shape, dtype);

    public void Upload(ReadOnlySpan<byte> source, Tensor destination)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Upload(source, destination);
        Add(nameof(Upload), start);
    }

    public void Download(Tensor source, Span<byte> destination)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Download(source, destination);
        Add(nameof(Download), start);
    }

    public void Copy(Tensor source, Tensor destination)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Copy(source, destination);
        Add(nameof(Copy), start);
    }

    public void Fill(Tensor destination, float value)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Fill(destination, value);
        Add(nameof(Fill), start);
    }

    public void Synchronize()
    {
        long start = Stopwatch.GetTimestamp();
        inner.Synchronize();
        Add(nameof(Synchronize), start);
    }

    public void Cast(Tensor source, Tensor destination)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Cast(source, destination);
        Add(nameof(Cast), start);
    }

    public void Add(Tensor a, Tensor b, Tensor destination)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Add(a, b, destination);
        Add(nameof(Add), start);
    }

    public void Scale(Tensor source, float factor, Tensor destination)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Scale(source, factor, destination);
        Add(nameof(Scale), start);
    }

    public void ActivationForward(Tensor x, Activation activation, Tensor y)
    {
        long start = Stopwatch.GetTimestamp();
        inner.ActivationForward(x, activation, y);
        Add(nameof(ActivationForward), start);
    }

    public void ActivationBackward(Tensor dy, Tensor x, Activation activation, Tensor dx)
    {
        long start = Stopwatch.GetTimestamp();
        inner.ActivationBackward(dy, x, activation, dx);
        Add(nameof(ActivationBackward), start);
    }

    public void GatedActivationForward(Tensor gate, Tensor up, Activation activation, Tensor y)
    {
        long start = Stopwatch.GetTimestamp();
        inner.GatedActivationForward(gate, up, activation, y);
        Add(nameof(GatedActivationForward), start);
    }

    public void GatedActivationBackward(Tensor dy, Tensor gate, Tensor up, Activation activation, Tensor dgate, Tensor dup)
    {
        long start = Stopwatch.GetTimestamp();
        inner.GatedActivationBackward(dy, gate, up, activation, dgate, dup);
        Add(nameof(GatedActivationBackward), start);
    }

    public void MatMul(Tensor a, Tensor b, Tensor c, bool transA = false, bool transB = false, float alpha = 1, bool accumulate = false, Tensor bias = default, Activation activation = Activation.None)
    {
        long start = Stopwatch.GetTimestamp();
        inner.MatMul(a, b, c, transA, transB, alpha, accumulate, bias, activation);
        Add(nameof(MatMul), start);
    }

    public void LoraMatMulForward(Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s, ReadOnlySpan<Tensor> y, Activation activation = Activation.None)
    {
        long start = Stopwatch.GetTimestamp();
        inner.LoraMatMulForward(x, projections, dropout, s, y, activation);
        Add(nameof(LoraMatMulForward), start);
    }

    public void LoraMatMulBackward(ReadOnlySpan<Tensor> dy, Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s, ReadOnlySpan<ProjectionGradient> gradients, Tensor dx, bool accumulate = false)
    {
        long start = Stopwatch.GetTimestamp();
        inner.LoraMatMulBackward(dy, x, projections, dropout, s, gradients, dx, accumulate);
        Add(nameof(LoraMatMulBackward), start);
    }

    public void RmsNormForward(Tensor x, Tensor residual, Tensor weight, float weightOffset, float eps, Tensor sum, Tensor y, Tensor rstd)
    {
        long start = Stopwatch.GetTimestamp();
        inner.RmsNormForward(x, residual, weight, weightOffset, eps, sum, y, rstd);
        Add(nameof(RmsNormForward), start);
    }

    public void RmsNormBackward(Tensor dy, Tensor x, Tensor weight, float weightOffset, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight)
    {
        long start = Stopwatch.GetTimestamp();
        inner.RmsNormBackward(dy, x, weight, weightOffset, rstd, dx, accumulate, dweight);
        Add(nameof(RmsNormBackward), start);
    }

    public void LayerNormForward(Tensor x, Tensor residual, Tensor weight, Tensor bias, float eps, Tensor sum, Tensor y, Tensor mean, Tensor rstd)
    {
        long start = Stopwatch.GetTimestamp();
        inner.LayerNormForward(x, residual, weight, bias, eps, sum, y, mean, rstd);
        Add(nameof(LayerNormForward), start);
    }

    public void LayerNormBackward(Tensor dy, Tensor x, Tensor weight, Tensor mean, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight, Tensor dbias)
    {
        long start = Stopwatch.GetTimestamp();
        inner.LayerNormBackward(dy, x, weight, mean, rstd, dx, accumulate, dweight, dbias);
        Add(nameof(LayerNormBackward), start);
    }

    public void Rope(Tensor x, Tensor positions, Tensor cos, Tensor sin, bool inverse)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Rope(x, positions, cos, sin, inverse);
        Add(nameof(Rope), start);
    }

    public void AttentionForward(Tensor q, Tensor k, Tensor v, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options, Tensor relativeBias, Tensor o, Tensor lse,
        ReadOnlySpan<int> offsets = default)
    {
        long start = Stopwatch.GetTimestamp();
        inner.AttentionForward(q, k, v, cuSeqLens, maxSeqLen, options, relativeBias, o, lse, offsets);
        Add(nameof(AttentionForward), start);
    }

    public void AttentionBackward(Tensor dO, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options,
        Tensor relativeBias, Tensor dq, Tensor dk, Tensor dv, Tensor drelativeBias, ReadOnlySpan<int> offsets = default)
    {
        long start = Stopwatch.GetTimestamp();
        inner.AttentionBackward(dO, q, k, v, o, lse, cuSeqLens, maxSeqLen, options, relativeBias, dq, dk, dv, drelativeBias, offsets);
        Add(nameof(AttentionBackward), start);
    }

    public void EmbeddingForward(Tensor table, Tensor ids, float scale, Tensor y, bool accumulate)
    {
        long start = Stopwatch.GetTimestamp();
        inner.EmbeddingForward(table, ids, scale, y, accumulate);
        Add(nameof(EmbeddingForward), start);
    }

    public void EmbeddingBackward(Tensor dy, Tensor ids, float scale, Tensor dtable)
    {
        long start = Stopwatch.GetTimestamp();
        inner.EmbeddingBackward(dy, ids, scale, dtable);
        Add(nameof(EmbeddingBackward), start);
    }

    public void PoolForward(Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor y)
    {
        long start = Stopwatch.GetTimestamp();
        inner.PoolForward(x, cuSeqLens, pooling, y);
        Add(nameof(PoolForward), start);
    }

    public void PoolBackward(Tensor dy, Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor dx)
    {
        long start = Stopwatch.GetTimestamp();
        inner.PoolBackward(dy, x, cuSeqLens, pooling, dx);
        Add(nameof(PoolBackward), start);
    }

    public void L2NormalizeForward(Tensor x, Tensor y, Tensor norm)
    {
        long start = Stopwatch.GetTimestamp();
        inner.L2NormalizeForward(x, y, norm);
        Add(nameof(L2NormalizeForward), start);
    }

    public void L2NormalizeBackward(Tensor dy, Tensor y, Tensor norm, Tensor dx)
    {
        long start = Stopwatch.GetTimestamp();
        inner.L2NormalizeBackward(dy, y, norm, dx);
        Add(nameof(L2NormalizeBackward), start);
    }

    public void CrossEntropy(Tensor scores, Tensor targets, Tensor excluded, float gradientScale, Tensor losses, Tensor dscores)
    {
        long start = Stopwatch.GetTimestamp();
        inner.CrossEntropy(scores, targets, excluded, gradientScale, losses, dscores);
        Add(nameof(CrossEntropy), start);
    }

    public void SumOfSquares(Tensor x, Tensor result, bool accumulate)
    {
        long start = Stopwatch.GetTimestamp();
        inner.SumOfSquares(x, result, accumulate);
        Add(nameof(SumOfSquares), start);
    }

    public void AdamWStep(Tensor parameter, Tensor gradient, Tensor m, Tensor v, AdamW options, Tensor sumOfSquares)
    {
        long start = Stopwatch.GetTimestamp();
        inner.AdamWStep(parameter, gradient, m, v, options, sumOfSquares);
        Add(nameof(AdamWStep), start);
    }

    public void QuantizeRows(Tensor x, Tensor q, Tensor scales)
    {
        long start = Stopwatch.GetTimestamp();
        inner.QuantizeRows(x, q, scales);
        Add(nameof(QuantizeRows), start);
    }

    public void ScoreTopK(Tensor queries, Tensor rows, Tensor rowScales, Tensor rowTerms, long firstRow, Tensor scores, Tensor indices, bool merge)
    {
        long start = Stopwatch.GetTimestamp();
        inner.ScoreTopK(queries, rows, rowScales, rowTerms, firstRow, scores, indices, merge);
        Add(nameof(ScoreTopK), start);
    }

    public void Dispose() => inner.Dispose();

    /// <summary>Forgets what was measured so far.</summary>
    public void Reset() => _times.Clear();

    /// <summary>Prints seconds, calls and share of each op, the longest first.</summary>
    public void Print()
    {
        double total = _times.Values.Sum(t => t.Seconds);
        foreach ((string op, (double seconds, int calls)) in _times.OrderByDescending(t => t.Value.Seconds))
            Console.WriteLine(FormattableString.Invariant($"    {op,-24} {seconds,8:F3} s  {calls,6} calls  {seconds / total,6:P1}"));
    }

    private void Add(string op, long start)
    {
        (double seconds, int calls) = _times.GetValueOrDefault(op);
        _times[op] = (seconds + Stopwatch.GetElapsedTime(start).TotalSeconds, calls + 1);
    }
}
