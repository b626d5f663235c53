using System;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.LoraMatMulForward"/>
    public void LoraMatMulForward(Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s, ReadOnlySpan<Tensor> y,
        Activation activation = Activation.None)
    {
        (long m, long k) = OpChecks.LoraMatMulForward(x, projections, dropout, s, y);
        using CpuMemory dropped = new(m * k * sizeof(float));
        Tensor xd = Drop(x, dropout, dropped);
        for (int i = 0; i < projections.Length; i++)
        {
            Projection p = projections[i];
            if (p.Rank == 0)
            {
                MatMul(x, p.W, y[i], transB: true, bias: p.Bias, activation: activation);
                continue;
            }

            MatMul(xd, p.A, s[i], transB: true, alpha: p.Scale);
            using CpuMemory joinedX = new(m * (k + p.Rank) * sizeof(float)), joinedW = new(p.Outputs * (k + p.Rank) * sizeof(float));
            MatMul(Join(x, s[i], joinedX), Join(p.W, p.B, joinedW), y[i], transB: true, bias: p.Bias, activation: activation);
        }
    }

    /// <inheritdoc cref="IBackend.LoraMatMulBackward"/>
    public void LoraMatMulBackward(ReadOnlySpan<Tensor> dy, Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s,
        ReadOnlySpan<ProjectionGradient> gradients, Tensor dx, bool accumulate = false)
    {
        (long m, long k) = OpChecks.LoraMatMulBackward(dy, x, projections, dropout, s, gradients, dx);
        using CpuMemory dropped = new(m * k * sizeof(float)), adapter = new(m * k * sizeof(float));
        Tensor xd = Drop(x, dropout, dropped);
        for (int i = 0; i < projections.Length; i++)
        {
            Projection p = projections[i];
            ProjectionGradient g = gradients[i];
            if (!dx.IsEmpty) MatMul(dy[i], p.W, dx, accumulate: accumulate || i > 0);
            if (!g.W.IsEmpty) MatMul(dy[i], x, g.W, transA: true, accumulate: true);
            if (!g.Bias.IsEmpty)
            {
                Span<float> sum = g.Bias.AsSpan<float>(), values = dy[i].AsSpan<float>();
                for (int j = 0; j < values.Length; j++) sum[j % sum.Length] += values[j];
            }

            if (p.Rank == 0) continue;
            using CpuMemory memory = new(m * p.Rank * sizeof(float));
            Tensor ds = new(memory, 0, new Shape(m, p.Rank), DType.F32);
            MatMul(dy[i], p.B, ds, alpha: p.Scale);
            if (!g.B.IsEmpty) MatMul(dy[i], s[i], g.B, transA: true, accumulate: true);
            if (!g.A.IsEmpty) MatMul(ds, xd, g.A, transA: true, accumulate: true);
            if (dx.IsEmpty) continue;
            Tensor part = new(adapter, 0, new Shape(m, k), DType.F32);
            MatMul(ds, p.A, part);
            using CpuMemory masked = new(m * k * sizeof(float));
            Span<float> from = Drop(part, dropout, masked).AsSpan<float>(), to = dx.AsSpan<float>();
            for (int j = 0; j < to.Length; j++) to[j] += from[j];
        }
    }

    private static Tensor Drop(Tensor x, Dropout dropout, CpuMemory memory)
    {
        if (dropout.Probability == 0) return x;
        Tensor y = new(memory, 0, x.Shape, DType.F32);
        Span<float> from = x.AsSpan<float>(), to = y.AsSpan<float>();
        float scale = 1 / (1 - dropout.Probability);
        for (int i = 0; i < to.Length; i++) to[i] = dropout.Keeps((ulong)i) ? from[i] * scale : 0;
        return y;
    }

    private static Tensor Join(Tensor left, Tensor right, CpuMemory memory)
    {
        (long rows, long n, long r) = (left.Shape[0], left.Shape[1], right.Shape[1]);
        Tensor joined = new(memory, 0, new Shape(rows, n + r), DType.F32);
        float* to = Pointer<float>(joined);
        for (long i = 0; i < rows; i++)
        {
            for (long j = 0; j < n + r; j++) to[i * (n + r) + j] = j < n ? Widen(left, i * n + j) : Widen(right, i * r + j - n);
        }

        return joined;
    }
}
