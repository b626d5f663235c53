using RetrievalEngine.Compute;

namespace RetrievalEngine.Training;

/// <summary>What the loss is made of.</summary>
/// <param name="Pooling">How hidden states become one vector.</param>
/// <param name="Normalize">Whether vectors are scaled to length 1 before the inner product.</param>
/// <param name="Temperature">Scores are divided by it.</param>
/// <param name="BatchTokens">Texts pass through the model in chunks of at most this many tokens (one text at least).</param>
/// <param name="GradientCheckpointing">Keep only each layer's input and compute the layer again in the backward pass.</param>
public sealed record ContrastiveOptions(Pooling Pooling, bool Normalize, float Temperature, int BatchTokens = 4096, bool GradientCheckpointing = false);
