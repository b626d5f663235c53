using System;
using System.Buffers;
using System.Numerics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.AttentionForward"/>
    public void AttentionForward(Tensor q, Tensor k, Tensor v, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options, Tensor relativeBias, Tensor o, Tensor lse)
    {
        var (tokens, heads, kvHeads, headDim, sequences, buckets) = OpChecks.AttentionForward(q, k, v, cuSeqLens, maxSeqLen, options, relativeBias, o, lse);
        OpChecks.CuSeqLens(nameof(AttentionForward), cuSeqLens.AsSpan<int>(), tokens, maxSeqLen);
        _workers.Run(
            new AttentionForwardJob
            {
                Q = Pointer<float>(q),
                K = Pointer<float>(k),
                V = Pointer<float>(v),
                O = Pointer<float>(o),
                Lse = Pointer<float>(lse),
                CuSeqLens = Pointer<int>(cuSeqLens),
                Bias = Pointer<float>(relativeBias),
                Options = options,
                Tokens = tokens,
                Heads = heads,
                KvHeads = kvHeads,
                D = headDim,
                Buckets = buckets,
            },
            checked(sequences * heads));
    }

    /// <inheritdoc cref="IBackend.AttentionBackward"/>
    public void AttentionBackward(Tensor dO, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options,
        Tensor relativeBias, Tensor dq, Tensor dk, Tensor dv, Tensor drelativeBias)
    {
        var (tokens, heads, kvHeads, headDim, sequences, buckets) =
            OpChecks.AttentionBackward(dO, q, k, v, o, lse, cuSeqLens, maxSeqLen, options, relativeBias, dq, dk, dv, drelativeBias);
        OpChecks.CuSeqLens(nameof(AttentionBackward), cuSeqLens.AsSpan<int>(), tokens, maxSeqLen);
        float[] biasParts = drelativeBias.IsEmpty ? [] : new float[(long)sequences * heads * buckets];
        fixed (float* parts = biasParts)
        {
            _workers.Run(
                new AttentionBackwardJob
                {
                    DO = Pointer<float>(dO),
                    Q = Pointer<float>(q),
                    K = Pointer<float>(k),
                    V = Pointer<float>(v),
                    O = Pointer<float>(o),
                    Lse = Pointer<float>(lse),
                    CuSeqLens = Pointer<int>(cuSeqLens),
                    Bias = Pointer<float>(relativeBias),
                    Options = options,
                    Dq = Pointer<float>(dq),
                    Dk = Pointer<float>(dk),
                    Dv = Pointer<float>(dv),
                    BiasParts = parts,
                    Tokens = tokens,
                    Heads = heads,
                    KvHeads = kvHeads,
                    D = headDim,
                    Buckets = buckets,
                },
                checked(sequences * kvHeads));
        }

        if (drelativeBias.IsEmpty) return;
        float* dbias = Pointer<float>(drelativeBias);
        for (int b = 0; b < sequences; b++)
        {
            for (int h = 0; h < heads; h++)
                for (int bucket = 0; bucket < buckets; bucket++)
                    dbias[bucket * heads + h] += biasParts[((long)b * heads + h) * buckets + bucket];
        }
    }

    private static (int First, int End) VisibleKeys(AttentionOptions options, int i, int length) => (
        options.WindowLeft < 0 ? 0 : Math.Max(0, i - options.WindowLeft),
        options.WindowRight < 0 || options.WindowRight >= length - i ? length : i + options.WindowRight + 1);

    private static float RowDot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        Vector<float> sums = default;
        int i = 0;
        for (; i <= a.Length - Vector<float>.Count; i += Vector<float>.Count) sums += new Vector<float>(a[i..]) * new Vector<float>(b[i..]);
        float sum = Vector.Sum(sums);
        for (; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }

    private static void AddScaledRow(ReadOnlySpan<float> x, float factor, Span<float> sum)
    {
        int i = 0;
        for (; i <= x.Length - Vector<float>.Count; i += Vector<float>.Count)
            (new Vector<float>(sum[i..]) + factor * new Vector<float>(x[i..])).CopyTo(sum[i..]);
        for (; i < x.Length; i++) sum[i] += factor * x[i];
    }

    private struct AttentionForwardJob : IJob
    {
        public float* Q, K, V, O, Lse, Bias;
        public int* CuSeqLens;
        public AttentionOptions Options;
        public int Tokens, Heads, KvHeads, D, Buckets;

        public readonly void Run(int task)
        {
            int b = task / Heads, h = task % Heads, kvHead = h / (Heads / KvHeads);
            int start = CuSeqLens[b], length = CuSeqLens[b + 1] - start;
            float[] rented = ArrayPool<float>.Shared.Rent(Math.Max(length, 1));
            for (int i = 0; i < length; i++)
            {
                var (first, end) = VisibleKeys(Options, i, length);
                Span<float> p = rented.AsSpan(0, end - first);
                ReadOnlySpan<float> q = new(Q + ((long)(start + i) * Heads + h) * D, D);
                for (int j = first; j < end; j++)
                {
                    float logit = Options.Scale * RowDot(q, new ReadOnlySpan<float>(K + ((long)(start + j) * KvHeads + kvHead) * D, D));
                    if (Options.SoftCap > 0) logit = Options.SoftCap * MathF.Tanh(logit / Options.SoftCap);
                    if (Bias != null) logit += Bias[RelativeBuckets.Bucket(j - i, Buckets, Options.RelativeMaxDistance) * Heads + h];
                    p[j - first] = logit;
                }

                Span<float> o = new(O + ((long)(start + i) * Heads + h) * D, D);
                o.Clear();
                float max = float.NegativeInfinity, sum = 0;
                foreach (float logit in p) max = MathF.Max(max, logit);
                if (float.IsNegativeInfinity(max))
                {
                    Lse[(long)h * Tokens + start + i] = float.NegativeInfinity;
                    continue;
                }

                foreach (ref float logit in p) sum += logit = MathF.Exp(logit - max);
                Lse[(long)h * Tokens + start + i] = max + MathF.Log(sum);
                for (int j = first; j < end; j++)
                    AddScaledRow(new ReadOnlySpan<float>(V + ((long)(start + j) * KvHeads + kvHead) * D, D), p[j - first] / sum, o);
            }

            ArrayPool<float>.Shared.Return(rented);
        }
    }

    private struct AttentionBackwardJob : IJob
    {
        public float* DO, Q, K, V, O, Lse, Bias, Dq, Dk, Dv, BiasParts;
        public int* CuSeqLens;
        public AttentionOptions Options;
        public int Tokens, Heads, KvHeads, D, Buckets;

        public readonly void Run(int task)
        {
            int b = task / KvHeads, kvHead = task % KvHeads, group = Heads / KvHeads;
            int start = CuSeqLens[b], length = CuSeqLens[b + 1] - start;
            for (int j = start; j < start + length; j++)
            {
                new Span<float>(Dk + ((long)j * KvHeads + kvHead) * D, D).Clear();
                new Span<float>(Dv + ((long)j * KvHeads + kvHead) * D, D).Clear();
            }

            for (int h = kvHead * group; h < (kvHead + 1) * group; h++)
            {
                for (int i = 0; i < length; i++)
                {
                    long row = ((long)(start + i) * Heads + h) * D;
                    ReadOnlySpan<float> q = new(Q + row, D), dO = new(DO + row, D);
                    Span<float> dq = new(Dq + row, D);
                    dq.Clear();
                    float lse = Lse[(long)h * Tokens + start + i];
                    if (float.IsNegativeInfinity(lse)) continue;
                    float delta = RowDot(dO, new ReadOnlySpan<float>(O + row, D));
                    var (first, end) = VisibleKeys(Options, i, length);
                    for (int j = first; j < end; j++)
                    {
                        long keyRow = ((long)(start + j) * KvHeads + kvHead) * D;
                        ReadOnlySpan<float> k = new(K + keyRow, D);
                        Span<float> dk = new(Dk + keyRow, D), dv = new(Dv + keyRow, D);
                        float logit = Options.Scale * RowDot(q, k), slope = Options.Scale;
                        if (Options.SoftCap > 0)
                        {
                            float tanh = MathF.Tanh(logit / Options.SoftCap);
                            logit = Options.SoftCap * tanh;
                            slope *= 1 - tanh * tanh;
                        }

                        int bucket = Bias != null ? RelativeBuckets.Bucket(j - i, Buckets, Options.RelativeMaxDistance) : 0;
                        if (Bias != null) logit += Bias[bucket * Heads + h];
                        float p = MathF.Exp(logit - lse);
                        float ds = p * (RowDot(dO, new ReadOnlySpan<float>(V + keyRow, D)) - delta);
                        if (BiasParts != null) BiasParts[((long)b * Heads + h) * Buckets + bucket] += ds;
                        AddScaledRow(dO, p, dv);
                        AddScaledRow(q, ds * slope, dk);
                        AddScaledRow(k, ds * slope, dq);
                    }
                }
            }
        }
    }
}
