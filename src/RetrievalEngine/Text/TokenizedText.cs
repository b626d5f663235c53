namespace RetrievalEngine.Text;

/// <summary>A text, or a pair of texts, as tokens. All arrays are of the same length.</summary>
/// <param name="Ids">Token ids.</param>
/// <param name="TypeIds">Which text a token belongs to, as the model counts (token_type_ids).</param>
/// <param name="Tokens">The tokens as the vocabulary writes them.</param>
/// <param name="Offsets">The code points of the text (of its own text, in a pair) that a token stands for; (0, 0) for special tokens.</param>
public sealed record TokenizedText(int[] Ids, int[] TypeIds, string[] Tokens, (int Start, int End)[] Offsets);
