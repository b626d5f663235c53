using System;
using System.Collections.Generic;

namespace RetrievalEngine.Evaluation;

/// <summary>
/// Measures that weigh grades: nDCG (Järvelin and Kekäläinen, ACM TOIS 20, 2002; gain = grade, discount log2(rank + 1)) and its relatives. They
/// ignore the relevance level.
/// </summary>
internal static class GainMeasures
{
    /// <summary>nDCG of the best <paramref name="depth"/> documents; the ideal ranking is cut there too.</summary>
    public static double NdcgCut(RankedJudgements r, int depth)
    {
        double gained = 0;
        for (int i = 0; i < Math.Min(depth, r.Retrieved); i++)
        {
            if (r.Grades[i] > 0) gained += r.Grades[i] / Discount(i);
        }

        double ideal = 0;
        int rank = 0;
        for (int grade = r.AtGrade.Length - 1; grade > 0; grade--)
        {
            for (int n = r.AtGrade[grade]; n > 0 && rank < depth; n--) ideal += grade / Discount(rank++);
        }

        return ideal > 0 ? gained / ideal : gained;
    }

    public static double Ndcg(RankedJudgements r, IReadOnlyDictionary<int, double> gains)
    {
        double[] ideal = IdealGains(r, gains);
        double gained = 0, best = 0;
        for (int i = 0; i < r.Retrieved; i++) gained += Discounted(Gain(r, gains, i), i);
        for (int i = 0; i < ideal.Length; i++) best += Discounted(ideal[i], i);
        return best > 0 ? gained / best : 0;
    }

    /// <summary>Mean of nDCG at the rank of each document with a gain; one that is not retrieved counts with nDCG at the end.</summary>
    public static double NdcgAtRelevant(RankedJudgements r, IReadOnlyDictionary<int, double> gains)
    {
        double[] ideal = IdealGains(r, gains);
        double gained = 0, best = 0, sum = 0;
        int found = 0;
        for (int i = 0; i < r.Retrieved; i++)
        {
            double gain = Gain(r, gains, i);
            gained += Discounted(gain, i);
            if (i < ideal.Length) best += Discounted(ideal[i], i);
            if (gain <= 0) continue;
            sum += gained / best;
            found++;
        }

        for (int i = r.Retrieved; i < ideal.Length; i++) best += Discounted(ideal[i], i);
        sum += (ideal.Length - found) * gained / best;
        return sum > 0 ? sum / ideal.Length : 0;
    }

    /// <summary>Mean of nDCG at the ranks where the ideal ranking's gain changes, and at the end.</summary>
    public static double NdcgAtGainChanges(RankedJudgements r, IReadOnlyDictionary<int, double> gains)
    {
        if (r.Relevant == 0) return 0;
        double[] ideal = IdealGains(r, gains);
        double gained = 0, best = 0, sum = 0;
        int changes = 0;
        for (int i = 0; i < Math.Max(r.Retrieved, ideal.Length + 1); i++)
        {
            bool changed = i > 0 && (i == ideal.Length || (i < ideal.Length && ideal[i] != ideal[i - 1]));
            if (changed)
            {
                sum += gained / best;
                changes++;
            }

            if (i < r.Retrieved) gained += Discounted(Gain(r, gains, i), i);
            if (i < ideal.Length) best += Discounted(ideal[i], i);
        }

        if (ideal.Length > 0 && r.Retrieved > ideal.Length + 1)
        {
            sum += gained / best;
            changes++;
        }

        return sum / changes;
    }

    /// <summary>
    /// Buckley's G: each gain is discounted by log2(2 + what an ideal ranking had gained by its rank - what this one had), an ideal gain counting
    /// as 1 at least; divided by the sum of all gains.
    /// </summary>
    public static double G(RankedJudgements r, IReadOnlyDictionary<int, double> gains)
    {
        double[] ideal = IdealGains(r, gains);
        double sum = 0, gained = 0, reachable = 0, all = 0;
        for (int i = 0; i < r.Retrieved; i++)
        {
            double gain = Gain(r, gains, i);
            gained += gain;
            reachable += i < ideal.Length ? Math.Max(ideal[i], 1) : 1;
            if (gain != 0) sum += gain / Math.Log2(2 + reachable - gained);
        }

        foreach (double gain in ideal) all += gain;
        return all > 0 ? sum / all : 0;
    }

    private static double Discount(int rank) => Math.Log2(rank + 2);

    private static double Discounted(double gain, int rank) => gain == 0 ? 0 : gain / Discount(rank);

    private static double Gain(RankedJudgements r, IReadOnlyDictionary<int, double> gains, int rank)
    {
        int grade = r.Grades[rank];
        return gains.TryGetValue(grade, out double gain) ? gain : Math.Max(grade, 0);
    }

    /// <summary>The positive gains of all judged documents, largest first.</summary>
    private static double[] IdealGains(RankedJudgements r, IReadOnlyDictionary<int, double> gains)
    {
        List<double> ideal = [];
        for (int grade = 0; grade < r.AtGrade.Length; grade++)
        {
            double gain = gains.TryGetValue(grade, out double given) ? given : grade;
            for (int n = gain > 0 ? r.AtGrade[grade] : 0; n > 0; n--) ideal.Add(gain);
        }

        ideal.Sort();
        ideal.Reverse();
        return [.. ideal];
    }
}
