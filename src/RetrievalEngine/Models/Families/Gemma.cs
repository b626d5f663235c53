using System;

namespace RetrievalEngine.Models.Families;

/// <summary>
/// Gemma: Llama with word vectors times √H and norm weights stored as their difference from 1. Gemma 2: also norms behind attention and feed-forward,
/// a cap on attention
/// logits, a window in every other layer.
/// </summary>
internal static class Gemma
{
    /// <summary>Assembles a Gemma.</summary>
    public static Transformer Build(ModelBuilder builder) => Of(builder).Build(builder);

    /// <summary>Assembles a Gemma 2.</summary>
    public static Transformer Build2(ModelBuilder builder) => (Of(builder) with { HasOutputNorms = true }).Build(builder);

    private static Decoder Of(ModelBuilder builder) => new() { NormOffset = 1, EmbeddingScale = MathF.Sqrt(builder.Config.HiddenSize) };
}
