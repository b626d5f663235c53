namespace RetrievalEngine.Compute;

/// <summary>How the hidden states of one sequence become one vector.</summary>
public enum Pooling
{
    /// <summary>The last token.</summary>
    Last,

    /// <summary>The first token.</summary>
    Cls,

    /// <summary>The mean over all tokens.</summary>
    Mean,

    /// <summary>The mean over all tokens, the i-th (from 1) weighted by i (Muennighoff 2022, SGPT).</summary>
    WeightedMean,

    /// <summary>The largest value of each element over all tokens.</summary>
    Max,
}
