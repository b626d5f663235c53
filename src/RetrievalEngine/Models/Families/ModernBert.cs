using RetrievalEngine.Checkpoints;

namespace RetrievalEngine.Models.Families;

/// <summary>
/// ModernBERT: pre-norm encoder with LayerNorm, rotary positions and a gated feed-forward; most layers see a window to both sides and have their own
/// rotary base. q, k and v
/// are stored in one matrix, and so are the two maps into the feed-forward.
/// </summary>
internal static class ModernBert
{
    /// <summary>Assembles the network.</summary>
    public static Transformer Build(ModelBuilder builder)
    {
        ModelConfig config = builder.Config;
        int hidden = config.HiddenSize, inner = config.IntermediateSize;
        Norm Norm(string name) => builder.LayerNorm(name, config.NormBias);

        InputEmbedding embedding = new(
            builder.Backend, builder.Parameter("embeddings.tok_embeddings.weight", config.VocabSize, hidden), scale: 1, positions: null, types: null,
            Norm("embeddings.norm"));
        RopeTable global = builder.Rope(), local = builder.Rope(local: true);
        TransformerLayer[] layers = new TransformerLayer[config.NumHiddenLayers];
        for (int i = 0; i < layers.Length; i++)
        {
            string name = $"layers.{i}";
            Norm? attentionNorm = i == 0 ? null : Norm($"{name}.attn_norm");
            Linear qkv = builder.Linear($"{name}.attn.Wqkv", 3L * hidden, hidden, config.AttentionBias);
            AttentionBlock attention = new(
                builder.Backend, qkv.Part(0, hidden), qkv.Part(hidden, hidden), qkv.Part(2L * hidden, hidden),
                builder.Linear($"{name}.attn.Wo", hidden, hidden, config.AttentionBias),
                config.HeadDim, config.SlidingWindows[i] > 0 ? local : global, builder.Attention(i));
            Norm mlpNorm = Norm($"{name}.mlp_norm");
            Linear input = builder.Linear($"{name}.mlp.Wi", 2L * inner, hidden, config.MlpBias);
            MlpBlock mlp = new(
                builder.Backend, input.Part(0, inner), input.Part(inner, inner), builder.Linear($"{name}.mlp.Wo", hidden, inner, config.MlpBias), config.HiddenAct);
            layers[i] = new PreNormLayer(builder.Backend, attention, mlp, attentionNorm, mlpNorm);
        }

        return builder.Build(embedding, layers, Norm("final_norm"));
    }
}
