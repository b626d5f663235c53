namespace RetrievalEngine.Data;

/// <summary>How training data is laid out.</summary>
public enum TrainingFormat
{
    /// <summary>Found out: a folder is BEIR's layout, a file tells by the fields of its first line.</summary>
    Auto,

    /// <summary>
    /// Tevatron with texts: JSON lines <c>{"query_id", "query", "positive_passages": [{"docid", "title", "text"}], "negative_passages"}</c>.
    /// </summary>
    Tevatron,

    /// <summary>
    /// Tevatron by id: JSON lines <c>{"query_id", "query_text", "positive_document_ids", "negative_document_ids"}</c> beside a corpus.
    /// </summary>
    TevatronIds,

    /// <summary>
    /// FlagEmbedding: JSON lines <c>{"query", "pos": [text], "neg": [text], "prompt"}</c>. Teacher scores and <c>type</c> are not used.
    /// </summary>
    FlagEmbedding,

    /// <summary>A folder in BEIR's layout: queries, judgements of the split <c>train</c>, corpus. There are no negatives.</summary>
    Beir,
}
