namespace RetrievalEngine.Evaluation;

/// <summary>What trec_eval's options set.</summary>
public sealed record EvaluationOptions
{
    /// <summary><c>-l</c>: the smallest grade that counts as relevant. Gain-based measures (nDCG) ignore it.</summary>
    public int RelevanceLevel { get; init; } = 1;

    /// <summary><c>-M</c>: only the best so many documents of each query are evaluated.</summary>
    public int MaxRetrieved { get; init; } = int.MaxValue;

    /// <summary><c>-c</c>: means are taken over all judged queries; one that the run lacks counts as 0. Otherwise over the queries in both.</summary>
    public bool AllJudgedQueries { get; init; }

    /// <summary><c>-J</c>: documents without a grade of 0 or more are taken out of each ranking first.</summary>
    public bool JudgedOnly { get; init; }

    /// <summary><c>-N</c>: documents in the collection, which the measure <c>utility</c> may need.</summary>
    public long CollectionSize { get; init; }
}
