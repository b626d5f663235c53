using System.Collections.Generic;
using RetrievalEngine.Text;

namespace RetrievalEngine.Reranking;

/// <summary>Pairs as the model will see them.</summary>
/// <param name="Pairs">In the order of the passages.</param>
/// <param name="Tokens">How many ids in all.</param>
/// <param name="Truncated">Pairs that lost tokens because they were longer than the contract allows.</param>
public sealed record TokenizedPairs(IReadOnlyList<TokenPair> Pairs, long Tokens, int Truncated);
