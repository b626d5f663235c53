using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cli.Bench;

/// <summary>Matrix products, and those with adapters.</summary>
internal static class ProductCases
{
    private const int FewRows = 8;

    /// <summary>The cases at <paramref name="s"/>, activations and weights in <paramref name="dtype"/>.</summary>
    public static IEnumerable<BenchCase> At(BenchShapes s, DType dtype)
    {
        int t = s.Tokens, h = s.Hidden, f = s.Inner, queries = 8 * s.Sequences, passages = 128 * s.Sequences;
        yield return Forward("x·Wᵀ", t, h, h, dtype);
        yield return Forward("x·Wᵀ, wide", t, f, h, dtype);
        yield return Forward("x·Wᵀ, deep", t, h, f, dtype);
        yield return Forward("x·Wᵀ, few rows", FewRows, h, h, dtype);
        yield return Forward("f(x·Wᵀ + b)", t, f, h, dtype, withBias: true, Activation.GeluTanh);
        yield return MatMul("dy·W", t, h, h, dtype, dtype, data =>
            (data.Normal(t, h), data.Weights(h, h), data.New(t, h), false, false));
        yield return MatMul("dyᵀ·x", h, h, t, dtype, DType.F32, data =>
            (data.Normal(t, h), data.Normal(t, h), data.New(DType.F32, h, h), true, false));
        yield return MatMul("scores", queries, passages, h, DType.F32, DType.F32, data =>
            (data.Normal(DType.F32, 1, queries, h), data.Normal(DType.F32, 1, passages, h), data.New(DType.F32, queries, passages), false, true));

        foreach (float dropout in (float[])[0, 0.1f])
        {
            foreach ((string name, int k, int[] outputs) in Groups(h, f))
            {
                if (dropout > 0 && outputs.Length > 1) continue;
                yield return Lora(name, backward: false, t, k, outputs, s.Rank, dropout, dtype);
                yield return Lora(name, backward: true, t, k, outputs, s.Rank, dropout, dtype);
            }
        }
    }

    /// <summary>The linear maps of a layer, those that share their input together.</summary>
    public static (string Name, int Inputs, int[] Outputs)[] Groups(int hidden, int inner) =>
        [("q, k, v", hidden, [hidden, hidden, hidden]), ("o", hidden, [hidden]), ("gate, up", hidden, [inner, inner]), ("down", inner, [hidden])];

    private static BenchCase Forward(string name, int m, int n, int k, DType dtype, bool withBias = false, Activation activation = Activation.None) =>
        MatMul(name, m, n, k, dtype, dtype, data => (data.Normal(m, k), data.Weights(n, k), data.New(m, n), false, true), withBias, activation);

    private static BenchCase MatMul(string name, int m, int n, int k, DType inputs, DType output,
        Func<BenchData, (Tensor A, Tensor B, Tensor C, bool TransA, bool TransB)> make, bool withBias = false, Activation activation = Activation.None)
    {
        double bytes = (double)inputs.Size() * ((long)m * k + (long)n * k) + (double)output.Size() * m * n;
        return new(nameof(IBackend.MatMul), name, $"{m} × {n} × {k}", inputs, 2.0 * m * n * k, bytes, data =>
        {
            (Tensor a, Tensor b, Tensor c, bool transA, bool transB) = make(data);
            Tensor bias = withBias ? data.Normal(DType.F32, 1, n) : default;
            return () => data.Backend.MatMul(a, b, c, transA, transB, bias: bias, activation: activation);
        });
    }

    private static BenchCase Lora(string name, bool backward, int m, int k, int[] outputs, int rank, float probability, DType dtype)
    {
        // Forward x·Wᵀ, x·Aᵀ, s·Bᵀ; backward dy·W, and of the adapter dy·B, dyᵀ·s, ds·A, dsᵀ·x. The base weights are frozen.
        double wide = outputs.Sum(n => (double)n), count = outputs.Length, narrow = 2.0 * m * rank * (count * k + wide);
        double flops = (2.0 * m * k * wide) + (backward ? 2 * narrow : narrow);
        double activations = (double)m * (wide + (backward ? 2.0 : 1.0) * k + count * rank), adapters = (backward ? 3 : 1) * rank * (count * k + wide);
        double bytes = dtype.Size() * (activations + (wide * k)) + (sizeof(float) * adapters);
        string op = backward ? nameof(IBackend.LoraMatMulBackward) : nameof(IBackend.LoraMatMulForward);
        return new(op, probability > 0 ? $"{name}, dropout" : name, $"{m} × {string.Join("+", outputs)} × {k}, rank {rank}", dtype, flops, bytes, data =>
        {
            Tensor x = data.Normal(m, k);
            Dropout dropout = new(probability, 1);
            Projection[] projections = [.. outputs.Select(n => new Projection(
                data.Weights(n, k), default, data.Normal(DType.F32, 1 / Math.Sqrt(k), rank, k), data.Normal(DType.F32, 1 / Math.Sqrt(rank), n, rank), 2))];
            Tensor[] s = [.. outputs.Select(_ => data.Normal(m, rank))];
            if (!backward)
            {
                Tensor[] y = [.. outputs.Select(n => data.New(m, n))];
                return () => data.Backend.LoraMatMulForward(x, projections, dropout, s, y);
            }

            Tensor dx = data.New(m, k);
            Tensor[] dy = [.. outputs.Select(n => data.Normal(m, n))];
            ProjectionGradient[] gradients =
                [.. outputs.Select(n => new ProjectionGradient(A: data.Constant(0, rank, k), B: data.Constant(0, n, rank)))];
            return () => data.Backend.LoraMatMulBackward(dy, x, projections, dropout, s, gradients, dx);
        });
    }
}
