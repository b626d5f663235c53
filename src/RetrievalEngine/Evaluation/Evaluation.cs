using System;
using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Evaluation;

/// <summary>The measures of one run.</summary>
public sealed class Evaluation
{
    internal Evaluation(IReadOnlyList<string> queryIds, int queryCount, IReadOnlyList<MeasureResult> measures)
    {
        QueryIds = queryIds;
        QueryCount = queryCount;
        Measures = measures;
    }

    /// <summary>Queries that are judged and in the run, ascending by UTF-8 bytes.</summary>
    public IReadOnlyList<string> QueryIds { get; }

    /// <summary>Number of queries that the means are taken over.</summary>
    public int QueryCount { get; }

    /// <summary>The measures in trec_eval's order.</summary>
    public IReadOnlyList<MeasureResult> Measures { get; }

    /// <summary>
    /// The value over all queries of <paramref name="measure"/>, named as asked for (<c>ndcg_cut.10</c>) or as printed (<c>ndcg_cut_10</c>).
    /// </summary>
    /// <exception cref="ArgumentException">It was not asked for.</exception>
    public double Mean(string measure) => Find(measure).Summary;

    /// <summary>The values of <paramref name="measure"/> in the order of <see cref="QueryIds"/>.</summary>
    /// <exception cref="ArgumentException">It was not asked for.</exception>
    public IReadOnlyList<double> PerQuery(string measure) => Find(measure).PerQuery;

    private MeasureResult Find(string measure)
    {
        int dot = measure.IndexOf('.', StringComparison.Ordinal);
        string printed = dot < 0 ? measure : $"{measure[..dot]}_{measure[(dot + 1)..]}";
        return Measures.FirstOrDefault(m => m.Name == measure || m.Name == printed)
            ?? throw new ArgumentException(
                $"measure \"{measure}\" was not asked for; there are {string.Join(" ", Measures.Select(static m => m.Name))}", nameof(measure));
    }
}
