namespace RetrievalEngine.Search;

/// <summary>A document found for a query.</summary>
/// <param name="Row">Its number in the index, from 0.</param>
/// <param name="Score">Its score; higher is better.</param>
public readonly record struct SearchHit(int Row, double Score);
