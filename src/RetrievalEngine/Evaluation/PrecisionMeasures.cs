using System;

namespace RetrievalEngine.Evaluation;

/// <summary>Measures that know relevant and not relevant only.</summary>
internal static class PrecisionMeasures
{
    /// <summary>Geometric means take a smaller value as this, because one 0 would make the mean 0.</summary>
    public const double SmallestGeometric = 0.00001;

    private const double InferredSmoothing = 0.00001;

    public static double Precision(RankedJudgements r, int depth) => r.RelevantUpTo(depth) / (double)depth;

    public static double Recall(RankedJudgements r, int depth) => r.Relevant == 0 ? 0 : r.RelevantUpTo(depth) / (double)r.Relevant;

    public static double RelativePrecision(RankedJudgements r, int depth) =>
        r.Relevant == 0 ? 0 : r.RelevantUpTo(depth) / (double)Math.Min(depth, r.Relevant);

    public static double Success(RankedJudgements r, int depth) => r.RelevantUpTo(depth) > 0 ? 1 : 0;

    public static double ReciprocalRank(RankedJudgements r, int depth)
    {
        for (int i = 0; i < Math.Min(depth, r.Retrieved); i++)
        {
            if (r.IsRelevant(i)) return 1.0 / (i + 1);
        }

        return 0;
    }

    /// <summary>Sum of the precisions at each relevant document of the best <paramref name="depth"/>.</summary>
    public static double SumOfPrecisions(RankedJudgements r, int depth)
    {
        double sum = 0;
        for (int i = 0; i < Math.Min(depth, r.Retrieved); i++)
        {
            if (r.IsRelevant(i)) sum += r.RelevantUpTo(i + 1) / (double)(i + 1);
        }

        return sum;
    }

    public static double AveragePrecision(RankedJudgements r, int depth) => r.Relevant == 0 ? 0 : SumOfPrecisions(r, depth) / r.Relevant;

    public static double RPrecision(RankedJudgements r) => r.Relevant == 0 ? 0 : r.RelevantUpTo(r.Relevant) / (double)r.Relevant;

    /// <summary>Precision at <paramref name="multiple"/> times the number of relevant documents.</summary>
    public static double RPrecisionMultiple(RankedJudgements r, double multiple)
    {
        int depth = CountAt(r, multiple);
        return depth <= 0 ? 0 : Precision(r, depth);
    }

    /// <summary>
    /// The largest precision at or after the rank where the fraction <paramref name="recall"/> of the relevant documents is reached.
    /// </summary>
    public static double InterpolatedPrecision(RankedJudgements r, double recall)
    {
        int needed = CountAt(r, recall);
        if (needed > r.RelevantRetrieved) return 0;
        double best = r.RelevantRetrieved / (double)r.Retrieved;
        for (int i = r.Retrieved; i > 0 && r.RelevantUpTo(i) >= Math.Max(needed, 1); i--) best = Math.Max(best, Precision(r, i));
        return best;
    }

    public static double AverageInterpolatedPrecision(RankedJudgements r, double[] recalls)
    {
        double sum = 0;
        for (int i = recalls.Length - 1; i >= 0; i--) sum += InterpolatedPrecision(r, recalls[i]);
        return sum / recalls.Length;
    }

    /// <summary>Buckley and Voorhees, "Retrieval Evaluation with Incomplete Information", SIGIR 2004.</summary>
    public static double BinaryPreference(RankedJudgements r)
    {
        double sum = 0;
        int above = 0;
        foreach (int grade in r.Grades)
        {
            if (grade < 0) continue;
            if (grade < r.Options.RelevanceLevel) above++;
            else sum += above == 0 ? 1 : 1 - (Math.Min(above, r.Relevant) / (double)Math.Min(r.JudgedNotRelevant, r.Relevant));
        }

        return r.Relevant == 0 ? sum : sum / r.Relevant;
    }

    /// <summary>Yilmaz and Aslam, "Estimating Average Precision with Incomplete and Imperfect Judgments", CIKM 2006.</summary>
    public static double InferredAveragePrecision(RankedJudgements r)
    {
        double sum = 0;
        int relevant = 0, notRelevant = 0, notJudged = 0;
        for (int i = 0; i < r.Retrieved; i++)
        {
            int grade = r.Grades[i];
            if (grade == RankedJudgements.NotJudged) notJudged++;
            if (grade < 0) continue;
            if (grade < r.Options.RelevanceLevel)
            {
                notRelevant++;
                continue;
            }

            if (i == 0)
            {
                sum += 1;
            }
            else
            {
                double above = i;
                sum += (1 / (above + 1))
                    + (above / (above + 1) * ((relevant + notRelevant + notJudged) / above)
                        * ((relevant + InferredSmoothing) / (relevant + notRelevant + (2 * InferredSmoothing))));
            }

            relevant++;
        }

        return r.Relevant == 0 ? sum : sum / r.Relevant;
    }

    /// <summary>Mean over the relevant documents of 1 / log2(2 + documents above it that are not relevant).</summary>
    public static double BinaryG(RankedJudgements r)
    {
        double sum = 0;
        for (int i = 0; i < r.Retrieved; i++)
        {
            if (r.IsRelevant(i)) sum += 1 / Math.Log2(3 + i - r.RelevantUpTo(i + 1));
        }

        return r.RelevantRetrieved == 0 ? 0 : sum / r.Relevant;
    }

    /// <summary>Robertson, "On Smoothing Average Precision", ECIR 2012.</summary>
    public static double YetAnotherAveragePrecision(RankedJudgements r)
    {
        double sum = SumOfPrecisions(r, int.MaxValue);
        return Math.Log((1 + sum) / (1 + r.Relevant - sum));
    }

    public static double SetPrecision(RankedJudgements r) => r.Retrieved == 0 ? 0 : r.RelevantRetrieved / (double)r.Retrieved;

    public static double SetRecall(RankedJudgements r) => r.Relevant == 0 ? 0 : r.RelevantRetrieved / (double)r.Relevant;

    public static double SetRelativePrecision(RankedJudgements r) =>
        r.Retrieved == 0 || r.Relevant == 0 ? 0 : r.RelevantRetrieved / (double)Math.Min(r.Retrieved, r.Relevant);

    public static double SetAveragePrecision(RankedJudgements r) =>
        r.Retrieved == 0 || r.Relevant == 0 ? 0 : (double)r.RelevantRetrieved * r.RelevantRetrieved / ((double)r.Retrieved * r.Relevant);

    /// <summary>Weighted harmonic mean of precision and recall; <paramref name="weight"/> is recall's importance relative to precision's.</summary>
    public static double SetF(RankedJudgements r, double weight)
    {
        if (r.RelevantRetrieved == 0) return 0;
        double precision = SetPrecision(r), recall = SetRecall(r);
        return (weight + 1) * precision * recall / ((weight * precision) + recall);
    }

    /// <summary>Weighted sum of the four cells (relevant or not) × (retrieved or not).</summary>
    public static double Utility(RankedJudgements r, double[] weights) =>
        (weights[0] * r.RelevantRetrieved)
        + (weights[1] * (r.Retrieved - r.RelevantRetrieved))
        + (weights[2] * (r.Relevant - r.RelevantRetrieved))
        + (weights[3] * (r.Options.CollectionSize + r.RelevantRetrieved - r.Retrieved - r.Relevant));

    /// <summary>A fraction of the number of relevant documents, rounded up from a tenth on as trec_eval always did.</summary>
    private static int CountAt(RankedJudgements r, double fraction) => (int)Math.Clamp((fraction * r.Relevant) + 0.9, int.MinValue, int.MaxValue);
}
