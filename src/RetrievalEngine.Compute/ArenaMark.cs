namespace RetrievalEngine.Compute;

/// <summary>A position in an <see cref="Arena"/>.</summary>
public readonly record struct ArenaMark(int Block, long Used, long Live);
