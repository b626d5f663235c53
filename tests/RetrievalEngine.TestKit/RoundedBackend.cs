using System;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.TestKit;

/// <summary>
/// What 16 bits cost whoever computes: the CPU's float32 arithmetic, with weights rounded where they enter a product and activations (and their gradients)
/// where they pass from one op to the next, and nowhere else. An implementation that keeps activations in that type can be as near to the truth as this,
/// but for luck not nearer.
/// </summary>
public sealed class RoundedBackend : IBackend
{
    private readonly CpuBackend _cpu = new(1);
    private readonly Arena _scratch;
    private readonly DType _dtype;

    /// <summary>Rounds to <paramref name="dtype"/>.</summary>
    public RoundedBackend(DType dtype)
    {
        _dtype = dtype;
        _scratch = new Arena(_cpu);
    }

    /// <inheritdoc/>
    public string Name => $"{_cpu.Name}, rounded to {_dtype}";

    /// <inheritdoc/>
    public DType ActivationDType => DType.F32;

    /// <inheritdoc/>
    public long? FreeBytes => null;

    /// <inheritdoc/>
    public DeviceMemory Allocate(long bytes) => _cpu.Allocate(bytes);

    /// <inheritdoc/>
    public Tensor Load(MappedFile file, long offset, Shape shape, DType dtype) => _cpu.Load(file, offset, shape, dtype);

    /// <inheritdoc/>
    public void Upload(ReadOnlySpan<byte> source, Tensor destination) => _cpu.Upload(source, destination);

    /// <inheritdoc/>
    public void Download(Tensor source, Span<byte> destination) => _cpu.Download(source, destination);

    /// <inheritdoc/>
    public void Copy(Tensor source, Tensor destination) => _cpu.Copy(source, destination);

    /// <inheritdoc/>
    public void Fill(Tensor destination, float value) => _cpu.Fill(destination, value);

    /// <inheritdoc/>
    public void Synchronize() => _cpu.Synchronize();

    /// <inheritdoc/>
    public void Cast(Tensor source, Tensor destination) => _cpu.Cast(source, destination);

    /// <inheritdoc/>
    public void Add(Tensor a, Tensor b, Tensor destination)
    {
        _cpu.Add(a, b, destination);
        Round(destination);
    }

    /// <inheritdoc/>
    public void Scale(Tensor source, float factor, Tensor destination) => _cpu.Scale(source, factor, destination);

    /// <inheritdoc/>
    public void ActivationForward(Tensor x, Activation activation, Tensor y)
    {
        _cpu.ActivationForward(x, activation, y);
        Round(y);
    }

    /// <inheritdoc/>
    public void ActivationBackward(Tensor dy, Tensor x, Activation activation, Tensor dx)
    {
        _cpu.ActivationBackward(dy, x, activation, dx);
        Round(dx);
    }

    /// <inheritdoc/>
    public void GatedActivationForward(Tensor gate, Tensor up, Activation activation, Tensor y)
    {
        _cpu.GatedActivationForward(gate, up, activation, y);
        Round(y);
    }

    /// <inheritdoc/>
    public void GatedActivationBackward(Tensor dy, Tensor gate, Tensor up, Activation activation, Tensor dgate, Tensor dup)
    {
        _cpu.GatedActivationBackward(dy, gate, up, activation, dgate, dup);
        Round(dgate, dup);
    }

    /// <inheritdoc/>
    public void MatMul(Tensor a, Tensor b, Tensor c, bool transA = false, bool transB = false, float alpha = 1, bool accumulate = false, Tensor bias = default,
        Activation activation = Activation.None) => _cpu.MatMul(a, b, c, transA, transB, alpha, accumulate, bias, activation);

    /// <inheritdoc/>
    public void LoraMatMulForward(Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s, ReadOnlySpan<Tensor> y,
        Activation activation = Activation.None)
    {
        ArenaMark mark = _scratch.Mark();
        _cpu.LoraMatMulForward(x, Rounded(projections), dropout, s, y, activation);
        Round(s);
        Round(y);
        _scratch.Release(mark);
    }

    /// <inheritdoc/>
    public void LoraMatMulBackward(ReadOnlySpan<Tensor> dy, Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s,
        ReadOnlySpan<ProjectionGradient> gradients, Tensor dx, bool accumulate = false)
    {
        ArenaMark mark = _scratch.Mark();
        _cpu.LoraMatMulBackward(dy, x, Rounded(projections), dropout, s, gradients, dx, accumulate);
        Round(dx);
        _scratch.Release(mark);
    }

    /// <inheritdoc/>
    public void RmsNormForward(Tensor x, Tensor residual, Tensor weight, float weightOffset, float eps, Tensor sum, Tensor y, Tensor rstd)
    {
        _cpu.RmsNormForward(x, residual, weight, weightOffset, eps, sum, y, rstd);
        Round(sum, y);
    }

    /// <inheritdoc/>
    public void RmsNormBackward(Tensor dy, Tensor x, Tensor weight, float weightOffset, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight)
    {
        _cpu.RmsNormBackward(dy, x, weight, weightOffset, rstd, dx, accumulate, dweight);
        Round(dx);
    }

    /// <inheritdoc/>
    public void LayerNormForward(Tensor x, Tensor residual, Tensor weight, Tensor bias, float eps, Tensor sum, Tensor y, Tensor mean, Tensor rstd)
    {
        _cpu.LayerNormForward(x, residual, weight, bias, eps, sum, y, mean, rstd);
        Round(sum, y);
    }

    /// <inheritdoc/>
    public void LayerNormBackward(Tensor dy, Tensor x, Tensor weight, Tensor mean, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight, Tensor dbias)
    {
        _cpu.LayerNormBackward(dy, x, weight, mean, rstd, dx, accumulate, dweight, dbias);
        Round(dx);
    }

    /// <inheritdoc/>
    public void Rope(Tensor x, Tensor positions, Tensor cos, Tensor sin, bool inverse)
    {
        _cpu.Rope(x, positions, cos, sin, inverse);
        Round(x);
    }

    /// <inheritdoc/>
    public void AttentionForward(Tensor q, Tensor k, Tensor v, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options, Tensor relativeBias, Tensor o,
        Tensor lse, ReadOnlySpan<int> offsets = default)
    {
        _cpu.AttentionForward(q, k, v, cuSeqLens, maxSeqLen, options, relativeBias, o, lse, offsets);
        Round(o);
    }

    /// <inheritdoc/>
    public void AttentionBackward(Tensor dO, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options,
        Tensor relativeBias, Tensor dq, Tensor dk, Tensor dv, Tensor drelativeBias, ReadOnlySpan<int> offsets = default)
    {
        _cpu.AttentionBackward(dO, q, k, v, o, lse, cuSeqLens, maxSeqLen, options, relativeBias, dq, dk, dv, drelativeBias, offsets);
        Round(dq, dk, dv);
    }

    /// <inheritdoc/>
    public void EmbeddingForward(Tensor table, Tensor ids, float scale, Tensor y, bool accumulate)
    {
        _cpu.EmbeddingForward(table, ids, scale, y, accumulate);
        Round(y);
    }

    /// <inheritdoc/>
    public void EmbeddingBackward(Tensor dy, Tensor ids, float scale, Tensor dtable) => _cpu.EmbeddingBackward(dy, ids, scale, dtable);

    /// <inheritdoc/>
    public void PoolForward(Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor y) => _cpu.PoolForward(x, cuSeqLens, pooling, y);

    /// <inheritdoc/>
    public void PoolBackward(Tensor dy, Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor dx)
    {
        _cpu.PoolBackward(dy, x, cuSeqLens, pooling, dx);
        Round(dx);
    }

    /// <inheritdoc/>
    public void L2NormalizeForward(Tensor x, Tensor y, Tensor norm) => _cpu.L2NormalizeForward(x, y, norm);

    /// <inheritdoc/>
    public void L2NormalizeBackward(Tensor dy, Tensor y, Tensor norm, Tensor dx) => _cpu.L2NormalizeBackward(dy, y, norm, dx);

    /// <inheritdoc/>
    public void CrossEntropy(Tensor scores, Tensor targets, Tensor excluded, float gradientScale, Tensor losses, Tensor dscores) =>
        _cpu.CrossEntropy(scores, targets, excluded, gradientScale, losses, dscores);

    /// <inheritdoc/>
    public void SumOfSquares(Tensor x, Tensor result, bool accumulate) => _cpu.SumOfSquares(x, result, accumulate);

    /// <inheritdoc/>
    public void AdamWStep(Tensor parameter, Tensor gradient, Tensor m, Tensor v, AdamW options, Tensor sumOfSquares) =>
        _cpu.AdamWStep(parameter, gradient, m, v, options, sumOfSquares);

    /// <inheritdoc/>
    public void QuantizeRows(Tensor x, Tensor q, Tensor scales) => _cpu.QuantizeRows(x, q, scales);

    /// <inheritdoc/>
    public void ScoreTopK(Tensor queries, Tensor rows, Tensor rowScales, Tensor rowTerms, long firstRow, Tensor scores, Tensor indices, bool merge) =>
        _cpu.ScoreTopK(queries, rows, rowScales, rowTerms, firstRow, scores, indices, merge);

    /// <inheritdoc/>
    public void Dispose()
    {
        _scratch.Dispose();
        _cpu.Dispose();
    }

    private void Round(params ReadOnlySpan<Tensor> tensors)
    {
        foreach (Tensor tensor in tensors)
        {
            if (tensor.IsEmpty) continue;
            ArenaMark mark = _scratch.Mark();
            Tensor rounded = _scratch.Allocate(tensor.Shape, _dtype);
            _cpu.Cast(tensor, rounded);
            _cpu.Cast(rounded, tensor);
            _scratch.Release(mark);
        }
    }

    private Projection[] Rounded(ReadOnlySpan<Projection> projections)
    {
        Projection[] rounded = projections.ToArray();
        foreach (ref Projection p in rounded.AsSpan()) p = p with { W = Rounded(p.W), A = Rounded(p.A), B = Rounded(p.B) };
        return rounded;
    }

    private Tensor Rounded(Tensor weights)
    {
        if (weights.IsEmpty) return default;
        Tensor copy = _scratch.Allocate(weights.Shape);
        _cpu.Cast(weights, copy);
        Round(copy);
        return copy;
    }
}
