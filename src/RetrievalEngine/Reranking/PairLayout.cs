namespace RetrievalEngine.Reranking;

/// <summary>How a query and a passage become one sequence.</summary>
public enum PairLayout
{
    /// <summary>The tokenizer's own template for pairs, with segment ids: BERT's [CLS] query [SEP] passage [SEP].</summary>
    Pair,

    /// <summary>Each text by itself with its own special tokens and its own length, one behind the other: RankLLaMA as first published.</summary>
    Segments,

    /// <summary>One string, tokenized as a whole: RankLLaMA since 2024.</summary>
    Joined,
}
