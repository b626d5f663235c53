namespace RetrievalEngine.Evaluation;

/// <summary>One retrieved document of a query.</summary>
/// <param name="DocId">The document's id (TREC's docno).</param>
/// <param name="Score">The retrieval score; higher is better. It alone decides the rank in evaluation, as in trec_eval.</param>
public readonly record struct ScoredDocument(string DocId, double Score);
