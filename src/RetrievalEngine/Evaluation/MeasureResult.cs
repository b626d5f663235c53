using System.Collections.Generic;

namespace RetrievalEngine.Evaluation;

/// <summary>One column of an evaluation: a measure at one depth, for each query and over all.</summary>
public sealed class MeasureResult
{
    internal MeasureResult(string name, MeasureKind kind, double[] perQuery, string[] texts, double summary, string summaryText)
    {
        Name = name;
        Kind = kind;
        PerQuery = perQuery;
        Texts = texts;
        Summary = summary;
        SummaryText = summaryText;
    }

    /// <summary>The name as trec_eval prints it: <c>ndcg_cut_10</c>.</summary>
    public string Name { get; }

    /// <summary>Values in the order of <see cref="Evaluation.QueryIds"/>; of a geometric mean, logarithms.</summary>
    public IReadOnlyList<double> PerQuery { get; }

    /// <summary>The value over all queries: the mean, or the sum of a count.</summary>
    public double Summary { get; }

    internal MeasureKind Kind { get; }

    internal string[] Texts { get; }

    internal string SummaryText { get; }

    /// <summary>Whether it has numbers; the run's tag and the string of grades have none.</summary>
    public bool IsNumber => Kind is not (MeasureKind.RunTag or MeasureKind.GradeString);

    internal bool IsCount => Kind is MeasureKind.Sum or MeasureKind.RelevantCount or MeasureKind.QueryCount;

    /// <summary>Whether it is defined for single queries.</summary>
    public bool HasQueryValues => Kind is not (MeasureKind.RunTag or MeasureKind.QueryCount or MeasureKind.GeometricMean);
}
