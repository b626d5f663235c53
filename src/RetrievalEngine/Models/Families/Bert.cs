using RetrievalEngine.Checkpoints;

namespace RetrievalEngine.Models.Families;

/// <summary>
/// BERT and its small descendants (MiniLM), RoBERTa and XLM-R: post-norm encoder with LayerNorm, learned positions, segment vectors and a plain
/// feed-forward. RoBERTa counts
/// positions from padding's id.
/// </summary>
internal static class Bert
{
    /// <summary>Assembles the network; the pooler is not part of the backbone.</summary>
    public static Transformer Build(ModelBuilder builder)
    {
        ModelConfig config = builder.Config;
        int hidden = config.HiddenSize;
        InputEmbedding embedding = new(
            builder.Backend,
            builder.Parameter("embeddings.word_embeddings.weight", config.VocabSize, hidden), scale: 1,
            builder.Parameter("embeddings.position_embeddings.weight", config.MaxPositionEmbeddings + (long)config.PositionOffset, hidden),
            builder.Parameter("embeddings.token_type_embeddings.weight", config.TypeVocabSize, hidden),
            builder.LayerNorm("embeddings.LayerNorm"))
        {
            PaddingId = config.PositionOffset > 0 ? config.PadTokenId : null,
        };
        TransformerLayer[] layers = new TransformerLayer[config.NumHiddenLayers];
        for (int i = 0; i < layers.Length; i++)
        {
            string name = $"encoder.layer.{i}";
            AttentionBlock attention = new(
                builder.Backend,
                builder.Linear($"{name}.attention.self.query", hidden, hidden, bias: true),
                builder.Linear($"{name}.attention.self.key", hidden, hidden, bias: true),
                builder.Linear($"{name}.attention.self.value", hidden, hidden, bias: true),
                builder.Linear($"{name}.attention.output.dense", hidden, hidden, bias: true),
                config.HeadDim, rope: null, builder.Attention(i));
            Norm attentionNorm = builder.LayerNorm($"{name}.attention.output.LayerNorm");
            MlpBlock mlp = new(
                builder.Backend, gate: null,
                builder.Linear($"{name}.intermediate.dense", config.IntermediateSize, hidden, bias: true),
                builder.Linear($"{name}.output.dense", hidden, config.IntermediateSize, bias: true),
                config.HiddenAct);
            layers[i] = new PostNormLayer(builder.Backend, attention, mlp, attentionNorm, builder.LayerNorm($"{name}.output.LayerNorm"));
        }

        return builder.Build(embedding, layers, finalNorm: null);
    }
}
