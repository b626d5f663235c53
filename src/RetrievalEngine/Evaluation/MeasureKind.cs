namespace RetrievalEngine.Evaluation;

/// <summary>How the values of single queries make the value over all, and how both are printed.</summary>
internal enum MeasureKind
{
    /// <summary>Arithmetic mean.</summary>
    Mean,

    /// <summary>Geometric mean of values given as logarithms; not printed for single queries.</summary>
    GeometricMean,

    /// <summary>Sum of whole numbers.</summary>
    Sum,

    /// <summary>
    /// Sum of whole numbers; over all judged queries, the judgements above 0 whatever the relevance level, as trec_eval counts them.
    /// </summary>
    RelevantCount,

    /// <summary>Number of queries; not printed for single queries.</summary>
    QueryCount,

    /// <summary>The run's tag; only printed over all.</summary>
    RunTag,

    /// <summary>The grades of the first documents as characters; only printed for single queries.</summary>
    GradeString,
}
