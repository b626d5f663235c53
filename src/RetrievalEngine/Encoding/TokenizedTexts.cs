using System.Collections.Generic;

namespace RetrievalEngine.Encoding;

/// <summary>Texts as the model will see them.</summary>
/// <param name="Sequences">Token ids of each text, in the order of the texts.</param>
/// <param name="Tokens">How many ids in all.</param>
/// <param name="Truncated">Texts that lost their end because they were longer than the contract allows.</param>
/// <param name="Empty">Texts without any content: they consist of special tokens alone.</param>
public sealed record TokenizedTexts(IReadOnlyList<int[]> Sequences, long Tokens, int Truncated, int Empty);
