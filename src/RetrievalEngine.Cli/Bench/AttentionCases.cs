using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cli.Bench;

/// <summary>Attention over packed sequences of one length.</summary>
internal static class AttentionCases
{
    private const int Group = 4;

    /// <summary>The cases at <paramref name="s"/> with activations in <paramref name="dtype"/>.</summary>
    public static IEnumerable<BenchCase> At(BenchShapes s, DType dtype)
    {
        (string Name, int Sequences, int Length, int KvHeads, bool Causal)[] batches =
        [
            ("causal", s.Sequences, s.Length, s.Heads, true),
            ("all to all", s.Sequences, s.Length, s.Heads, false),
            ("causal, grouped keys", s.Sequences, s.Length, s.Heads / Group, true),
            ("causal, long", s.Sequences / 4, s.Length * 4, s.Heads, true),
        ];
        foreach ((string name, int sequences, int length, int kvHeads, bool causal) in batches)
        {
            yield return Case(name, backward: false, sequences, length, s.Heads, kvHeads, s.Hidden / s.Heads, causal, dtype);
            yield return Case(name, backward: true, sequences, length, s.Heads, kvHeads, s.Hidden / s.Heads, causal, dtype);
        }
    }

    /// <summary>Operations of attention's forward pass over pairs that see each other: q·kᵀ and p·v. The backward pass needs 5 products for these 2.</summary>
    public static double Flops(int sequences, int length, int heads, int headDim, bool causal) =>
        4.0 * sequences * heads * headDim * (causal ? length * (length + 1.0) / 2 : (double)length * length);

    private static BenchCase Case(string name, bool backward, int sequences, int length, int heads, int kvHeads, int headDim, bool causal, DType dtype)
    {
        int t = sequences * length;
        // Forward q, k, v, o; backward these and do, dq, dk, dv.
        double bytes = (backward ? 2.0 : 1.0) * dtype.Size() * 2 * t * headDim * (heads + kvHeads), flops = Flops(sequences, length, heads, headDim, causal);
        string op = backward ? nameof(IBackend.AttentionBackward) : nameof(IBackend.AttentionForward);
        string shape = $"{sequences} × {length}, {heads}{(kvHeads == heads ? "" : $"/{kvHeads}")} heads × {headDim}";
        return new(op, name, shape, dtype, backward ? 2.5 * flops : flops, bytes, data =>
        {
            IBackend backend = data.Backend;
            (Tensor q, Tensor k, Tensor v) = (data.Normal(t, heads, headDim), data.Normal(t, kvHeads, headDim), data.Normal(t, kvHeads, headDim));
            (Tensor o, Tensor lse) = (data.New(t, heads, headDim), data.New(DType.F32, heads, t));
            int[] offsets = [.. Enumerable.Range(0, sequences + 1).Select(i => i * length)];
            Tensor cuSeqLens = data.Integers(offsets);
            AttentionOptions options = new((float)(1 / Math.Sqrt(headDim)), WindowRight: causal ? 0 : -1);
            Action forward = () => backend.AttentionForward(q, k, v, cuSeqLens, length, options, default, o, lse, offsets);
            if (!backward) return forward;
            forward();
            (Tensor dO, Tensor dq) = (data.Normal(t, heads, headDim), data.New(t, heads, headDim));
            (Tensor dk, Tensor dv) = (data.New(t, kvHeads, headDim), data.New(t, kvHeads, headDim));
            return () => backend.AttentionBackward(dO, q, k, v, o, lse, cuSeqLens, length, options, default, dq, dk, dv, default, offsets);
        });
    }
}
