using System;

namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.LoraMatMulForward"/> and gives the number of rows M and the input width K.</summary>
    public static (long M, long K) LoraMatMulForward(Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s,
        ReadOnlySpan<Tensor> y)
    {
        (long m, long k) = LoraMatMul(nameof(LoraMatMulForward), x, projections, dropout, s);
        Require(y.Length == projections.Length, nameof(LoraMatMulForward), $"{y.Length} outputs for {projections.Length} projections");
        for (int i = 0; i < y.Length; i++) RequireMatrix(nameof(LoraMatMulForward), $"y[{i}]", y[i], m, projections[i].Outputs, false);
        return (m, k);
    }

    /// <summary>Checks <see cref="IBackend.LoraMatMulBackward"/> and gives the number of rows M and the input width K.</summary>
    public static (long M, long K) LoraMatMulBackward(ReadOnlySpan<Tensor> dy, Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout,
        ReadOnlySpan<Tensor> s, ReadOnlySpan<ProjectionGradient> gradients, Tensor dx)
    {
        const string Op = nameof(LoraMatMulBackward);
        (long m, long k) = LoraMatMul(Op, x, projections, dropout, s);
        Require(dy.Length == projections.Length && gradients.Length == projections.Length, Op,
            $"{dy.Length} output gradients and {gradients.Length} places for gradients for {projections.Length} projections");
        for (int i = 0; i < projections.Length; i++)
        {
            (long n, long r) = (projections[i].Outputs, projections[i].Rank);
            RequireMatrix(Op, $"dy[{i}]", dy[i], m, n, false);
            Require(gradients[i].A.IsEmpty == gradients[i].B.IsEmpty, Op, $"gradients[{i}] has one of A and B but not the other");
            Require(r > 0 || gradients[i].A.IsEmpty, Op, $"gradients[{i}] has A and B but projection {i} has no adapter");
            RequireMatrix(Op, $"gradients[{i}].W", gradients[i].W, n, k, true);
            RequireMatrix(Op, $"gradients[{i}].A", gradients[i].A, r, k, true);
            RequireMatrix(Op, $"gradients[{i}].B", gradients[i].B, n, r, true);
            for (int j = 0; j < i - 1; j++)
            {
                Require(gradients[i].A.IsEmpty || gradients[i].A != gradients[j].A || gradients[i].A == gradients[i - 1].A, Op,
                    $"gradients[{j}] and gradients[{i}] share A, which only neighbours may");
            }

            Require(gradients[i].Bias.IsEmpty || (gradients[i].Bias.DType == DType.F32 && gradients[i].Bias.Count == n), Op,
                $"gradients[{i}].Bias is {gradients[i].Bias} but must be F32 [{n}]");
        }

        if (!dx.IsEmpty) RequireMatrix(Op, "dx", dx, m, k, false);
        return (m, k);
    }

    private static (long M, long K) LoraMatMul(string op, Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s)
    {
        Require(!x.IsEmpty && x.Shape.Rank == 2 && x.DType.IsFloat(), op, $"x is {x} but must be a matrix of a float type");
        Require(s.Length == projections.Length, op, $"{s.Length} adapter products s for {projections.Length} projections");
        Require(dropout.Probability is >= 0 and < 1, op, $"the dropout probability is {dropout.Probability} but must be at least 0 and below 1");
        (long m, long k) = (x.Shape[0], x.Shape[1]);
        for (int i = 0; i < projections.Length; i++)
        {
            Projection p = projections[i];
            Require(!p.W.IsEmpty && p.W.Shape.Rank == 2 && p.W.DType.IsFloat() && p.W.Shape[1] == k, op,
                $"x is {x} but the weight of projection {i} is {p.W}; it must be [N, {k}] of a float type");
            (long n, long r) = (p.Outputs, p.Rank);
            Require(p.Bias.IsEmpty || (p.Bias.DType == DType.F32 && p.Bias.Count == n), op,
                $"the bias of projection {i} is {p.Bias} but must be F32 [{n}]");
            Require(p.A.IsEmpty == p.B.IsEmpty && p.A.IsEmpty == s[i].IsEmpty, op, $"projection {i} needs all of A, B and s[{i}], or none of them");
            if (p.A.IsEmpty) continue;
            RequireMatrix(op, $"A of projection {i}", p.A, r, k, true);
            RequireMatrix(op, $"B of projection {i}", p.B, n, r, true);
            RequireMatrix(op, $"s[{i}]", s[i], m, r, false);
        }

        return (m, k);
    }

    /// <summary>A given matrix must be [rows, columns]; a parameter or its gradient (<paramref name="f32"/>) may be none and must be F32.</summary>
    private static void RequireMatrix(string op, string name, Tensor matrix, long rows, long columns, bool f32)
    {
        if (f32 && matrix.IsEmpty) return;
        bool type = !matrix.IsEmpty && (f32 ? matrix.DType == DType.F32 : matrix.DType.IsFloat());
        Require(type && matrix.Shape.Rank == 2 && matrix.Shape[0] == rows && matrix.Shape[1] == columns, op,
            $"{name} is {matrix} but must be {(f32 ? "F32" : "a float")} [{rows}, {columns}]");
    }
}
