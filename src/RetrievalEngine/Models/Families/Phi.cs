using RetrievalEngine.Checkpoints;

namespace RetrievalEngine.Models.Families;

/// <summary>Phi-1.5 and Phi-2: attention and feed-forward side by side behind one LayerNorm, biases everywhere, part of each head rotated.</summary>
internal static class Phi
{
    /// <summary>Assembles the network.</summary>
    public static Transformer Build(ModelBuilder builder)
    {
        ModelConfig config = builder.Config;
        int hidden = config.HiddenSize, inner = config.IntermediateSize, headDim = config.HeadDim;
        long queries = (long)config.NumAttentionHeads * headDim, keys = (long)config.NumKeyValueHeads * headDim;
        InputEmbedding embedding = new(
            builder.Backend, builder.Parameter("embed_tokens.weight", config.VocabSize, hidden), scale: 1, positions: null, types: null, norm: null);
        RopeTable rope = builder.Rope();
        TransformerLayer[] layers = new TransformerLayer[config.NumHiddenLayers];
        for (int i = 0; i < layers.Length; i++)
        {
            string name = $"layers.{i}", self = $"{name}.self_attn";
            AttentionBlock attention = new(
                builder.Backend,
                builder.Linear($"{self}.q_proj", queries, hidden, bias: true),
                builder.Linear($"{self}.k_proj", keys, hidden, bias: true),
                builder.Linear($"{self}.v_proj", keys, hidden, bias: true),
                builder.Linear($"{self}.dense", hidden, queries, bias: true),
                headDim, rope, builder.Attention(i));
            MlpBlock mlp = new(
                builder.Backend, gate: null,
                builder.Linear($"{name}.mlp.fc1", inner, hidden, bias: true),
                builder.Linear($"{name}.mlp.fc2", hidden, inner, bias: true),
                config.HiddenAct);
            layers[i] = new ParallelLayer(builder.Backend, attention, mlp, builder.LayerNorm($"{name}.input_layernorm"));
        }

        return builder.Build(embedding, layers, builder.LayerNorm("final_layernorm"));
    }
}
