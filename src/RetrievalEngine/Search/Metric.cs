namespace RetrievalEngine.Search;

/// <summary>How a query and a row are compared. Scores are higher for better rows, whatever the metric.</summary>
public enum Metric
{
    /// <summary>The inner product.</summary>
    InnerProduct,

    /// <summary>The inner product of the two scaled to length 1; a zero vector scores 0 with everything.</summary>
    Cosine,

    /// <summary>The squared Euclidean distance, negated.</summary>
    L2,
}
