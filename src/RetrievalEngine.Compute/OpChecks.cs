using System;
using System.Runtime.CompilerServices;

namespace RetrievalEngine.Compute;

/// <summary>One shape check per op, called first by every backend, so that a bad call fails with the same sentence everywhere.</summary>
public static partial class OpChecks
{
    private static void Require(bool condition, string op, string message)
    {
        if (!condition) throw new ArgumentException($"{op}: {message}");
    }

    private static void Require(bool condition, string op, [InterpolatedStringHandlerArgument(nameof(condition))] ref CheckMessage message)
    {
        if (!condition) throw new ArgumentException($"{op}: {message.ToStringAndClear()}");
    }

    /// <summary>Checks <see cref="IBackend.MatMul"/> and gives its sizes.</summary>
    public static (long M, long N, long K) MatMul(Tensor a, Tensor b, Tensor c, bool transA, bool transB, Tensor bias)
    {
        Require(!a.IsEmpty && !b.IsEmpty && !c.IsEmpty, nameof(MatMul), "a, b and c must be given");
        Require(a.Shape.Rank == 2 && b.Shape.Rank == 2 && c.Shape.Rank == 2, nameof(MatMul), $"a is {a}, b is {b}, c is {c}; all must be matrices");
        Require(a.DType.IsFloat() && b.DType.IsFloat() && c.DType.IsFloat(), nameof(MatMul), $"a is {a}, b is {b}, c is {c}; all must be of a float type");
        long m = a.Shape[transA ? 1 : 0], k = a.Shape[transA ? 0 : 1], n = b.Shape[transB ? 0 : 1], kb = b.Shape[transB ? 1 : 0];
        Require(k == kb, nameof(MatMul), $"a is {a.Shape}{(transA ? " (transA)" : "")} but b is {b.Shape}{(transB ? " (transB)" : "")}");
        Require(c.Shape[0] == m && c.Shape[1] == n, nameof(MatMul), $"c is {c.Shape} but the product is [{m}, {n}]");
        Require(bias.IsEmpty || (bias.DType == DType.F32 && bias.Count == n), nameof(MatMul), $"bias is {bias} but must be F32 [{n}]");
        return (m, n, k);
    }
}
