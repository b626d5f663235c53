namespace RetrievalEngine.Encoding;

/// <summary>What is made of a pooled hidden state: its first elements (Matryoshka), then, with <paramref name="Normalize"/>, scaled to length 1.</summary>
/// <param name="Dimensions">Elements that stay, at most those of the contract.</param>
/// <param name="Normalize">Whether the vector is scaled to length 1.</param>
public readonly record struct VectorForm(int Dimensions, bool Normalize);
