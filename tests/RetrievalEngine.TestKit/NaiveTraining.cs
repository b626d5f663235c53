using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.TestKit;

/// <summary>Loss and optimiser in double precision.</summary>
public static class NaiveTraining
{
    /// <summary>Losses [G] and the gradient of their mean times <paramref name="gradientScale"/>; <paramref name="excluded"/> may be empty.</summary>
    public static (double[] Losses, double[] Dscores) CrossEntropy(double[] scores, int[] targets, sbyte[] excluded, double gradientScale)
    {
        int groups = targets.Length, candidates = groups == 0 ? 0 : scores.Length / groups;
        double[] losses = new double[groups], dscores = new double[scores.Length];
        for (int g = 0; g < groups; g++)
        {
            double max = double.NegativeInfinity, sum = 0;
            for (int i = 0; i < candidates; i++)
            {
                if (IsCandidate(g * candidates + i)) max = Math.Max(max, scores[g * candidates + i]);
            }

            for (int i = 0; i < candidates; i++)
            {
                if (IsCandidate(g * candidates + i)) sum += Math.Exp(scores[g * candidates + i] - max);
            }

            losses[g] = max + Math.Log(sum) - scores[g * candidates + targets[g]];
            for (int i = 0; i < candidates; i++)
            {
                double p = IsCandidate(g * candidates + i) ? Math.Exp(scores[g * candidates + i] - max) / sum : 0;
                dscores[g * candidates + i] = gradientScale / groups * (p - (i == targets[g] ? 1 : 0));
            }
        }

        return (losses, dscores);

        bool IsCandidate(int index) => excluded.Length == 0 || excluded[index] == 0;
    }

    /// <summary>One AdamW step in place; <paramref name="sumOfSquares"/> is read where the options clip.</summary>
    public static void AdamW(double[] parameter, double[] gradient, double[] m, double[] v, AdamW options, double sumOfSquares)
    {
        double clip = options.MaxGradNorm > 0 ? Math.Min(1, options.MaxGradNorm / (Math.Sqrt(sumOfSquares) + 1e-6)) : 1;
        for (int i = 0; i < parameter.Length; i++)
        {
            double g = gradient[i] * clip;
            m[i] = options.Beta1 * m[i] + (1 - (double)options.Beta1) * g;
            v[i] = options.Beta2 * v[i] + (1 - (double)options.Beta2) * g * g;
            double corrected = m[i] / (1 - Math.Pow(options.Beta1, options.Step)), variance = v[i] / (1 - Math.Pow(options.Beta2, options.Step));
            parameter[i] *= 1 - (double)options.LearningRate * options.WeightDecay;
            parameter[i] -= options.LearningRate * corrected / (Math.Sqrt(variance) + options.Epsilon);
        }
    }
}
