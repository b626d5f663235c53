namespace RetrievalEngine.Text;

/// <summary>A query and a passage as one sequence. Both arrays are of the same length.</summary>
/// <param name="Ids">Token ids.</param>
/// <param name="TypeIds">Which text a token belongs to, as the model counts; all 0 for models that do not.</param>
public readonly record struct TokenPair(int[] Ids, int[] TypeIds);
