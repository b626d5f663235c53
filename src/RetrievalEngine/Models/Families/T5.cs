using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Models.Families;

/// <summary>
/// The encoder of T5 v1.0 (plain feed-forward) and v1.1 (gated): pre-norm with RMSNorm, unscaled logits plus a table of relative positions, no
/// biases.
/// </summary>
internal static class T5
{
    /// <summary>Assembles the network.</summary>
    public static Transformer Build(ModelBuilder builder)
    {
        ModelConfig config = builder.Config;
        int hidden = config.HiddenSize, inner = config.IntermediateSize;
        long heads = (long)config.NumAttentionHeads * config.HeadDim;
        InputEmbedding embedding = new(
            builder.Backend, builder.Parameter("shared.weight", config.VocabSize, hidden), scale: 1, positions: null, types: null, norm: null);
        Parameter? bias = null;
        TransformerLayer[] layers = new TransformerLayer[config.NumHiddenLayers];
        for (int i = 0; i < layers.Length; i++)
        {
            string attentionName = $"encoder.block.{i}.layer.0", self = $"{attentionName}.SelfAttention", mlpName = $"encoder.block.{i}.layer.1", dense = $"{mlpName}.DenseReluDense";
            Linear query = builder.Linear($"{self}.q", heads, hidden, bias: false), key = builder.Linear($"{self}.k", heads, hidden, bias: false);
            Linear value = builder.Linear($"{self}.v", heads, hidden, bias: false), output = builder.Linear($"{self}.o", hidden, heads, bias: false);
            bias ??= builder.WideParameter($"{self}.relative_attention_bias.weight", config.RelativeBuckets, config.NumAttentionHeads);
            AttentionOptions options = builder.Attention(i) with { RelativeMaxDistance = config.RelativeMaxDistance };
            AttentionBlock attention = new(builder.Backend, query, key, value, output, config.HeadDim, rope: null, options) { RelativeBias = bias };
            Norm attentionNorm = builder.RmsNorm($"{attentionName}.layer_norm");
            MlpBlock mlp = new(
                builder.Backend,
                config.IsGated ? (LinearPart?)builder.Linear($"{dense}.wi_0", inner, hidden, bias: false) : null,
                builder.Linear(config.IsGated ? $"{dense}.wi_1" : $"{dense}.wi", inner, hidden, bias: false),
                builder.Linear($"{dense}.wo", hidden, inner, bias: false),
                config.HiddenAct);
            layers[i] = new PreNormLayer(builder.Backend, attention, mlp, attentionNorm, builder.RmsNorm($"{mlpName}.layer_norm"));
        }

        return builder.Build(embedding, layers, builder.RmsNorm("encoder.final_layer_norm"));
    }
}
