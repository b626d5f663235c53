using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models.Families;

/// <summary>Llama 2 and 3, Mistral (sliding window), Qwen1.5 and Qwen2 (biases on q, k and v): pre-norm decoders with RMSNorm, rotary positions and SwiGLU.</summary>
internal static class Llama
{
    /// <summary>Assembles the network.</summary>
    public static Transformer Build(ModelBuilder builder)
    {
        ModelConfig config = builder.Config;
        int hidden = config.HiddenSize, heads = config.NumAttentionHeads, kvHeads = config.NumKeyValueHeads, headDim = config.HeadDim;
        InputEmbedding embedding = new(builder.Backend, builder.Parameter("embed_tokens.weight", config.VocabSize, hidden), scale: 1, positions: null, types: null, norm: null);
        RopeTable rope = builder.Rope(headDim);
        bool qkvBias = config.AttentionBias || config.ModelType == "qwen2", outputBias = config.AttentionBias;
        TransformerLayer[] layers = new TransformerLayer[config.NumHiddenLayers];
        for (int i = 0; i < layers.Length; i++)
        {
            string name = $"layers.{i}";
            Norm attentionNorm = builder.RmsNorm($"{name}.input_layernorm");
            // A window of 0 keys means all of them.
            int window = config.SlidingWindows[i];
            AttentionOptions options = new(1 / System.MathF.Sqrt(headDim), WindowLeft: window - 1, WindowRight: config.IsCausal ? 0 : window - 1);
            AttentionBlock attention = new(
                builder.Backend,
                builder.Linear($"{name}.self_attn.q_proj", (long)heads * headDim, hidden, qkvBias),
                builder.Linear($"{name}.self_attn.k_proj", (long)kvHeads * headDim, hidden, qkvBias),
                builder.Linear($"{name}.self_attn.v_proj", (long)kvHeads * headDim, hidden, qkvBias),
                builder.Linear($"{name}.self_attn.o_proj", hidden, (long)heads * headDim, outputBias),
                heads, kvHeads, headDim, rope, options);
            Norm mlpNorm = builder.RmsNorm($"{name}.post_attention_layernorm");
            MlpBlock mlp = new(
                builder.Backend,
                builder.Linear($"{name}.mlp.gate_proj", config.IntermediateSize, hidden, config.MlpBias),
                builder.Linear($"{name}.mlp.up_proj", config.IntermediateSize, hidden, config.MlpBias),
                builder.Linear($"{name}.mlp.down_proj", hidden, config.IntermediateSize, config.MlpBias),
                config.HiddenAct);
            layers[i] = new TransformerLayer(builder.Backend, attention, mlp, attentionNorm, mlpNorm, postNorm: false);
        }

        return builder.Build(embedding, layers, builder.RmsNorm("norm"));
    }
}
