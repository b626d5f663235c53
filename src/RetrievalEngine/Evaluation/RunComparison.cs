using System;
using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Evaluation;

/// <summary>One measure of two runs, query by query, with tests of whether they differ.</summary>
/// <param name="Measure">The measure as trec_eval prints it.</param>
/// <param name="Queries">Number of queries compared.</param>
/// <param name="MeanA">Mean of the first run.</param>
/// <param name="MeanB">Mean of the second run.</param>
/// <param name="Wins">Queries where the second run is better.</param>
/// <param name="Losses">Queries where the first run is better.</param>
/// <param name="Ties">Queries without a difference.</param>
/// <param name="TTest">Paired t-test of second - first.</param>
/// <param name="Wilcoxon">Wilcoxon's signed-rank test.</param>
/// <param name="Randomisation">Fisher's randomisation test.</param>
public sealed record RunComparison(
    string Measure,
    int Queries,
    double MeanA,
    double MeanB,
    int Wins,
    int Losses,
    int Ties,
    PairedTTest TTest,
    WilcoxonSignedRankTest Wilcoxon,
    RandomisationTest Randomisation)
{
    /// <summary>
    /// Compares each mean that <paramref name="a"/> and <paramref name="b"/> hold, over the queries in both; where <paramref name="allOf"/> is given,
    /// over its judged queries, one that a run lacks counting as 0.
    /// </summary>
    /// <exception cref="InputException">The two have no query in common.</exception>
    public static IReadOnlyList<RunComparison> Compare(Evaluation a, Evaluation b, Qrels? allOf = null)
    {
        string[] queries = [.. allOf is null ? a.QueryIds.Intersect(b.QueryIds) : allOf.QueryIds];
        if (queries.Length == 0) throw new InputException("the two runs have no judged query in common");
        List<RunComparison> comparisons = [];
        foreach (MeasureResult measure in a.Measures.Where(static m => m.Kind == MeasureKind.Mean))
        {
            double[] valuesA = Values(a, measure.Name, queries), valuesB = Values(b, measure.Name, queries);
            int wins = valuesA.Zip(valuesB).Count(static v => v.Second > v.First);
            int losses = valuesA.Zip(valuesB).Count(static v => v.First > v.Second);
            comparisons.Add(new RunComparison(
                measure.Name,
                queries.Length,
                valuesA.Average(),
                valuesB.Average(),
                wins,
                losses,
                queries.Length - wins - losses,
                PairedTTest.Compute(valuesB, valuesA),
                WilcoxonSignedRankTest.Compute(valuesB, valuesA),
                RandomisationTest.Compute(valuesB, valuesA)));
        }

        return comparisons;
    }

    private static double[] Values(Evaluation evaluation, string measure, string[] queries)
    {
        IReadOnlyList<double> values = evaluation.PerQuery(measure);
        Dictionary<string, double> byQuery = [];
        for (int i = 0; i < values.Count; i++) byQuery.Add(evaluation.QueryIds[i], values[i]);
        return Array.ConvertAll(queries, query => byQuery.GetValueOrDefault(query));
    }
}
