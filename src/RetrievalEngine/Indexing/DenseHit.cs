namespace RetrievalEngine.Indexing;

/// <summary>A document found for a query.</summary>
/// <param name="DocId">Its id.</param>
/// <param name="Score">Cosine or inner product; higher is better.</param>
public readonly record struct DenseHit(string DocId, float Score);
