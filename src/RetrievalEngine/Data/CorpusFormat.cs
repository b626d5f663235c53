namespace RetrievalEngine.Data;

/// <summary>How a corpus file is laid out.</summary>
public enum CorpusFormat
{
    /// <summary>Found out from the first line.</summary>
    Auto,

    /// <summary>JSON lines <c>{"_id", "title", "text"}</c>.</summary>
    Beir,

    /// <summary>JSON lines <c>{"docid", "title", "text"}</c>.</summary>
    Tevatron,

    /// <summary>JSON lines <c>{"id", "contents"}</c>.</summary>
    Pyserini,

    /// <summary>JSON lines <c>{"id", "title", "text"}</c>.</summary>
    FlagEmbedding,

    /// <summary>Lines <c>id⇥text</c>, as MS MARCO's passages.</summary>
    Tsv,
}
