using System;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cli.Bench;

/// <summary>Memory, the ends of the network, loss and optimiser.</summary>
internal static class EndCases
{
    /// <summary>The cases at <paramref name="s"/> with activations in <paramref name="dtype"/>.</summary>
    public static IEnumerable<BenchCase> At(BenchShapes s, DType dtype)
    {
        int t = s.Tokens, h = s.Hidden, f = s.Inner, texts = 128 * s.Sequences, queries = 8 * s.Sequences;
        double size = dtype.Size(), hidden = (double)t * h, inner = (double)t * f;
        string narrow = $"{t} × {h}", wide = $"{t} × {f}", vectors = $"{texts} × {h}";

        yield return new(nameof(IBackend.Upload), "from the host", narrow, dtype, 0, size * hidden, data =>
        {
            Tensor tensor = data.New(t, h);
            byte[] host = new byte[tensor.Bytes];
            return () => data.Backend.Upload(host, tensor);
        })
        { HasFloor = false };
        yield return new(nameof(IBackend.Download), "to the host", narrow, dtype, 0, size * hidden, data =>
        {
            Tensor tensor = data.Normal(t, h);
            byte[] host = new byte[tensor.Bytes];
            return () => data.Backend.Download(tensor, host);
        })
        { HasFloor = false };
        yield return new(nameof(IBackend.Copy), "b = a", wide, dtype, 0, 2 * size * inner, data =>
        {
            (Tensor a, Tensor b) = (data.Normal(t, f), data.New(t, f));
            return () => data.Backend.Copy(a, b);
        });
        yield return new(nameof(IBackend.Fill), "a = 0", narrow, DType.F32, 0, sizeof(float) * hidden, data =>
        {
            Tensor a = data.New(DType.F32, t, h);
            return () => data.Backend.Fill(a, 0);
        });
        DType other = dtype == DType.F32 ? DType.BF16 : dtype;
        yield return new(nameof(IBackend.Cast), "from F32", wide, other, 0, (sizeof(float) + other.Size()) * inner, data =>
        {
            (Tensor a, Tensor b) = (data.Normal(DType.F32, 1, t, f), data.New(other, t, f));
            return () => data.Backend.Cast(a, b);
        });

        // A token's row is read or changed once, however often it occurs.
        int[] RandomIds(BenchData data) => data.Random(t, s.Vocabulary);
        double rows = s.Vocabulary * (1 - Math.Pow(1 - 1.0 / s.Vocabulary, t)), table = rows * h;
        yield return new(nameof(IBackend.EmbeddingForward), "random tokens", $"{t} of {s.Vocabulary} × {h}", dtype, 0, size * (table + hidden), data =>
        {
            (Tensor weights, Tensor ids, Tensor y) = (data.Normal(s.Vocabulary, h), data.Integers(RandomIds(data)), data.New(t, h));
            return () => data.Backend.EmbeddingForward(weights, ids, 1, y, accumulate: false);
        });
        yield return new(nameof(IBackend.EmbeddingBackward), "random tokens", $"{t} of {s.Vocabulary} × {h}", dtype, 0,
            size * hidden + 2 * sizeof(float) * table, data =>
        {
            (Tensor dy, Tensor ids, Tensor dtable) = (data.Normal(t, h), data.Integers(RandomIds(data)), data.Constant(0, s.Vocabulary, h));
            return () => data.Backend.EmbeddingBackward(dy, ids, 1, dtable);
        });

        Tensor Starts(BenchData data) => data.Integers([.. Enumerable.Range(0, s.Sequences + 1).Select(i => i * s.Length)]);
        double pooled = sizeof(float) * s.Sequences * (double)h;
        yield return new(nameof(IBackend.PoolForward), "mean", narrow, dtype, 0, size * hidden + pooled, data =>
        {
            (Tensor x, Tensor starts, Tensor y) = (data.Normal(t, h), Starts(data), data.New(DType.F32, s.Sequences, h));
            return () => data.Backend.PoolForward(x, starts, Pooling.Mean, y);
        });
        yield return new(nameof(IBackend.PoolBackward), "mean", narrow, dtype, 0, size * hidden + pooled, data =>
        {
            (Tensor dy, Tensor x, Tensor starts, Tensor dx) = (data.Normal(DType.F32, 1, s.Sequences, h), data.Normal(t, h), Starts(data), data.New(t, h));
            return () => data.Backend.PoolBackward(dy, x, starts, Pooling.Mean, dx);
        });
        yield return new(nameof(IBackend.L2NormalizeForward), "vectors", vectors, DType.F32, 0, 2.0 * sizeof(float) * texts * h, data =>
        {
            (Tensor x, Tensor y, Tensor norm) = (data.Normal(DType.F32, 1, texts, h), data.New(DType.F32, texts, h), data.New(DType.F32, texts));
            return () => data.Backend.L2NormalizeForward(x, y, norm);
        });
        yield return new(nameof(IBackend.L2NormalizeBackward), "vectors", vectors, DType.F32, 0, 3.0 * sizeof(float) * texts * h, data =>
        {
            (Tensor dy, Tensor y) = (data.Normal(DType.F32, 1, texts, h), data.Normal(DType.F32, 1, texts, h));
            (Tensor norm, Tensor dx) = (data.Constant(1, texts), data.New(DType.F32, texts, h));
            return () => data.Backend.L2NormalizeBackward(dy, y, norm, dx);
        });
        yield return new(nameof(IBackend.CrossEntropy), "in-batch negatives", $"{queries} × {texts}", DType.F32, 0, 2.0 * sizeof(float) * queries * texts, data =>
        {
            (Tensor scores, Tensor targets) = (data.Normal(DType.F32, 1, queries, texts), data.Integers(data.Random(queries, texts)));
            (Tensor losses, Tensor dscores) = (data.New(DType.F32, queries), data.New(DType.F32, queries, texts));
            return () => data.Backend.CrossEntropy(scores, targets, default, 1, losses, dscores);
        });

        yield return new(nameof(IBackend.SumOfSquares), "gradients", $"{s.Trained}", DType.F32, 0, (double)sizeof(float) * s.Trained, data =>
        {
            (Tensor x, Tensor result) = (data.Normal(DType.F32, 1, s.Trained), data.New(DType.F32, 1));
            return () => data.Backend.SumOfSquares(x, result, accumulate: false);
        });
        yield return new(nameof(IBackend.AdamWStep), "with clipping", $"{s.Trained}", DType.F32, 0, 7.0 * sizeof(float) * s.Trained, data =>
        {
            (Tensor parameter, Tensor gradient) = (data.Normal(DType.F32, 1, s.Trained), data.Normal(DType.F32, 1, s.Trained));
            (Tensor m, Tensor v, Tensor squares) = (data.Normal(DType.F32, 1, s.Trained), data.Constant(1, s.Trained), data.Constant(s.Trained, 1));
            AdamW options = new(1e-4f, Step: 10, MaxGradNorm: 1);
            return () => data.Backend.AdamWStep(parameter, gradient, m, v, options, squares);
        });
    }
}
