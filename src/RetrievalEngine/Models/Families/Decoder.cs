using RetrievalEngine.Checkpoints;

namespace RetrievalEngine.Models.Families;

/// <summary>The decoders after Llama: pre-norm with RMSNorm, rotary positions, grouped heads, gated feed-forward, no bias unless said.</summary>
internal sealed record Decoder
{
    /// <summary>Biases on q, k and v.</summary>
    public bool HasQkvBias { get; init; }

    /// <summary>RMSNorm over each head of q and k.</summary>
    public bool HasHeadNorms { get; init; }

    /// <summary>Norms also behind attention and feed-forward; the one before the feed-forward then has another name.</summary>
    public bool HasOutputNorms { get; init; }

    /// <summary>Norm weights are stored as the difference from this.</summary>
    public float NormOffset { get; init; }

    /// <summary>Factor on word vectors.</summary>
    public float EmbeddingScale { get; init; } = 1;

    /// <summary>Assembles the network.</summary>
    public Transformer Build(ModelBuilder builder)
    {
        ModelConfig config = builder.Config;
        int hidden = config.HiddenSize, inner = config.IntermediateSize, headDim = config.HeadDim;
        long queries = (long)config.NumAttentionHeads * headDim, keys = (long)config.NumKeyValueHeads * headDim;
        Norm Norm(string name) => builder.RmsNorm(name, offset: NormOffset);

        InputEmbedding embedding = new(
            builder.Backend, builder.Parameter("embed_tokens.weight", config.VocabSize, hidden), EmbeddingScale, positions: null, types: null, norm: null);
        RopeTable rope = builder.Rope();
        TransformerLayer[] layers = new TransformerLayer[config.NumHiddenLayers];
        for (int i = 0; i < layers.Length; i++)
        {
            string name = $"layers.{i}", self = $"{name}.self_attn", mlpName = $"{name}.mlp";
            bool bias = config.AttentionBias || HasQkvBias;
            Norm attentionNorm = Norm($"{name}.input_layernorm");
            AttentionBlock attention = new(
                builder.Backend,
                builder.Linear($"{self}.q_proj", queries, hidden, bias),
                builder.Linear($"{self}.k_proj", keys, hidden, bias),
                builder.Linear($"{self}.v_proj", keys, hidden, bias),
                builder.Linear($"{self}.o_proj", hidden, queries, config.AttentionBias),
                headDim, rope, builder.Attention(i))
            {
                HeadNorms = HasHeadNorms ? (builder.RmsNorm($"{self}.q_norm", headDim), builder.RmsNorm($"{self}.k_norm", headDim)) : null,
            };
            Norm? attentionOutputNorm = HasOutputNorms ? Norm($"{name}.post_attention_layernorm") : null;
            Norm mlpNorm = Norm(HasOutputNorms ? $"{name}.pre_feedforward_layernorm" : $"{name}.post_attention_layernorm");
            MlpBlock mlp = new(
                builder.Backend,
                builder.Linear($"{mlpName}.gate_proj", inner, hidden, config.MlpBias),
                builder.Linear($"{mlpName}.up_proj", inner, hidden, config.MlpBias),
                builder.Linear($"{mlpName}.down_proj", hidden, inner, config.MlpBias),
                config.HiddenAct);
            layers[i] = new PreNormLayer(builder.Backend, attention, mlp, attentionNorm, mlpNorm)
            {
                OutputNorms = attentionOutputNorm is { } after ? (after, Norm($"{name}.post_feedforward_layernorm")) : null,
            };
        }

        return builder.Build(embedding, layers, Norm("norm"));
    }
}
