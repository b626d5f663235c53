using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.TestKit;

/// <summary>
/// Attention as its definition says it, in double precision, one query at a time. Layouts as in <see cref="IBackend.AttentionForward"/>; a bias is
/// [buckets, heads], empty for none.
/// </summary>
public sealed class NaiveAttention(int[] cuSeqLens, int heads, int kvHeads, int headDim, AttentionOptions options)
{
    private readonly int _tokens = cuSeqLens[^1];

    /// <summary>Output [T, heads, D] and log-sum-exp [heads, T].</summary>
    public (double[] O, double[] Lse) Forward(double[] q, double[] k, double[] v, double[] bias)
    {
        double[] o = new double[q.Length], lse = new double[heads * _tokens];
        ForEachQuery(q, k, bias, (row, h, i, first, logits, _) =>
        {
            double sum = LogSumExp(logits);
            lse[(h * _tokens) + i] = sum;
            for (int j = 0; j < logits.Length; j++)
            {
                for (int d = 0; d < headDim; d++) o[row + d] += Math.Exp(logits[j] - sum) * v[KeyRow(first + j, h) + d];
            }
        });
        return (o, lse);
    }

    /// <summary>Gradients of Σ dO ∘ O, <paramref name="o"/> as it was stored: what an op that is handed a rounded output should make of it.</summary>
    public (double[] Dq, double[] Dk, double[] Dv, double[] Dbias) Backward(double[] dO, double[] q, double[] k, double[] v, double[] o, double[] bias)
    {
        double[] dq = new double[q.Length], dk = new double[k.Length], dv = new double[v.Length], dbias = new double[bias.Length];
        ForEachQuery(q, k, bias, (row, h, i, first, logits, slopes) =>
        {
            double sum = LogSumExp(logits), delta = 0;
            double[] p = Array.ConvertAll(logits, logit => Math.Exp(logit - sum)), dp = new double[p.Length];
            for (int j = 0; j < p.Length; j++)
            {
                int key = KeyRow(first + j, h);
                for (int d = 0; d < headDim; d++)
                {
                    dp[j] += dO[row + d] * v[key + d];
                    dv[key + d] += p[j] * dO[row + d];
                }
            }

            for (int d = 0; d < headDim; d++) delta += dO[row + d] * o[row + d];

            for (int j = 0; j < p.Length; j++)
            {
                double ds = p[j] * (dp[j] - delta);
                if (bias.Length > 0) dbias[(Bucket(first + j - i, bias) * heads) + h] += ds;
                int key = KeyRow(first + j, h);
                for (int d = 0; d < headDim; d++)
                {
                    dq[row + d] += ds * slopes[j] * k[key + d];
                    dk[key + d] += ds * slopes[j] * q[row + d];
                }
            }
        });
        return (dq, dk, dv, dbias);
    }

    private delegate void Visit(int row, int head, int token, int firstKey, double[] logits, double[] slopes);

    private void ForEachQuery(double[] q, double[] k, double[] bias, Visit visit)
    {
        for (int b = 0; b + 1 < cuSeqLens.Length; b++)
        {
            for (int i = cuSeqLens[b]; i < cuSeqLens[b + 1]; i++)
            {
                int first = options.WindowLeft < 0 ? cuSeqLens[b] : (int)Math.Max(cuSeqLens[b], i - (long)options.WindowLeft);
                int last = options.WindowRight < 0 ? cuSeqLens[b + 1] - 1 : (int)Math.Min(cuSeqLens[b + 1] - 1, i + (long)options.WindowRight);
                for (int h = 0; h < heads; h++)
                {
                    int row = (i * heads + h) * headDim;
                    double[] logits = new double[last - first + 1], slopes = new double[logits.Length];
                    for (int j = 0; j < logits.Length; j++)
                    {
                        double logit = 0;
                        for (int d = 0; d < headDim; d++) logit += q[row + d] * k[KeyRow(first + j, h) + d];
                        logit *= options.Scale;
                        slopes[j] = options.Scale;
                        if (options.SoftCap > 0)
                        {
                            double tanh = Math.Tanh(logit / options.SoftCap);
                            logit = options.SoftCap * tanh;
                            slopes[j] *= 1 - (tanh * tanh);
                        }

                        logits[j] = logit + (bias.Length > 0 ? bias[(Bucket(first + j - i, bias) * heads) + h] : 0);
                    }

                    visit(row, h, i, first, logits, slopes);
                }
            }
        }
    }

    private int Bucket(int relative, double[] bias) => RelativeBuckets.Bucket(relative, bias.Length / heads, options.RelativeMaxDistance);

    private int KeyRow(int token, int head) => ((token * kvHeads) + (head / (heads / kvHeads))) * headDim;

    private static double LogSumExp(double[] x)
    {
        double max = double.NegativeInfinity, sum = 0;
        foreach (double value in x) max = Math.Max(max, value);
        foreach (double value in x) sum += Math.Exp(value - max);
        return max + Math.Log(sum);
    }
}
