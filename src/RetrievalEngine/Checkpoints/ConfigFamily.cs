using System;
using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// What the fields of <c>config.json</c> are called in one family and what their absence means: the defaults of the family's class in transformers.
/// </summary>
internal sealed record ConfigFamily(string ModelType)
{
    private static readonly ConfigFamily s_decoder = new(""), s_bert = new("bert")
    {
        IsEncoder = true,
        HeadDim = null,
        KeyValueHeads = null,
        NormEps = "layer_norm_eps",
        DefaultNormEps = 1e-12,
        DefaultActivation = "gelu",
        HasGate = false,
        HasRope = false,
        DefaultPositions = 512,
        IsTied = true,
        DefaultTypes = 2,
        DefaultPad = 0,
    };

    private static readonly Dictionary<string, ConfigFamily> s_families = new ConfigFamily[]
    {
        s_decoder with { ModelType = "llama", DefaultPositions = 2048, HasAttentionBias = true, HasMlpBias = true },
        s_decoder with { ModelType = "mistral", DefaultPositions = 131072, DefaultKeyValueHeads = 8, DefaultWindow = 4096 },
        s_decoder with { ModelType = "qwen2", DefaultPositions = 32768, DefaultKeyValueHeads = 32, DefaultWindow = 4096 },
        s_decoder with
        {
            ModelType = "qwen3", DefaultPositions = 32768, DefaultKeyValueHeads = 32, DefaultHeadDim = 128, DefaultWindow = 4096, HasAttentionBias = true,
        },
        s_decoder with
        {
            ModelType = "gemma", DefaultPositions = 8192, DefaultKeyValueHeads = 16, DefaultHeadDim = 256, HasAttentionBias = true, IsTied = true,
            Activation = "hidden_activation", DefaultActivation = "gelu_pytorch_tanh", DefaultPad = 0,
        },
        s_decoder with
        {
            ModelType = "gemma2", DefaultPositions = 8192, DefaultKeyValueHeads = 4, DefaultHeadDim = 256, HasAttentionBias = true, IsTied = true,
            Activation = "hidden_activation", DefaultActivation = "gelu_pytorch_tanh", DefaultPad = 0, DefaultWindow = 4096,
        },
        s_decoder with
        {
            ModelType = "phi", DefaultPositions = 2048, HeadDim = null, NormEps = "layer_norm_eps", DefaultNormEps = 1e-5, DefaultActivation = "gelu_new",
            HasGate = false, DefaultPartialRotary = 0.5,
        },
        s_bert,
        s_bert with { ModelType = "roberta", DefaultPad = 1, CountsPositionsFromPadding = true },
        s_bert with { ModelType = "xlm-roberta", DefaultPad = 1, CountsPositionsFromPadding = true },
        s_bert with
        {
            ModelType = "modernbert", NormEps = "norm_eps", DefaultNormEps = 1e-5, Activation = "hidden_activation", HasGate = true, HasRope = true,
            DefaultPositions = 8192,
            DefaultTypes = 0, DefaultPad = 50283, HasAttentionBias = true, HasMlpBias = true,
        },
        s_bert with
        {
            ModelType = "t5", Hidden = "d_model", Inner = "d_ff", Layers = "num_layers", Heads = "num_heads", HeadDim = "d_kv", DefaultHeadDim = 64,
            NormEps = "layer_norm_epsilon", DefaultNormEps = 1e-6, Positions = null, DefaultPositions = 1 << 28, DefaultTypes = 0,
            IsHalf = true,
        },
    }.ToDictionary(family => family.ModelType, StringComparer.Ordinal);

    /// <summary>The <c>model_type</c> of every family.</summary>
    public static IReadOnlyCollection<string> Known => s_families.Keys;

    /// <summary>Bidirectional attention, and a mean of all tokens by default.</summary>
    public bool IsEncoder { get; init; }

    /// <summary>Field of the hidden width.</summary>
    public string Hidden { get; init; } = "hidden_size";

    /// <summary>Field of the width inside the feed-forward block.</summary>
    public string Inner { get; init; } = "intermediate_size";

    /// <summary>Field of the number of layers.</summary>
    public string Layers { get; init; } = "num_hidden_layers";

    /// <summary>Field of the number of query heads.</summary>
    public string Heads { get; init; } = "num_attention_heads";

    /// <summary>Field of the width of a head; null where it is always the hidden width over the heads.</summary>
    public string? HeadDim { get; init; } = "head_dim";

    /// <summary>Width of a head where the field is absent; 0 for the hidden width over the heads.</summary>
    public int DefaultHeadDim { get; init; }

    /// <summary>Field of the number of key and value heads; null where they are as many as query heads.</summary>
    public string? KeyValueHeads { get; init; } = "num_key_value_heads";

    /// <summary>Key and value heads where the field is absent (not null); 0 for as many as query heads.</summary>
    public int DefaultKeyValueHeads { get; init; }

    /// <summary>Field of the ε of the norms.</summary>
    public string NormEps { get; init; } = "rms_norm_eps";

    /// <summary>ε where the field is absent.</summary>
    public double DefaultNormEps { get; init; } = 1e-6;

    /// <summary>Field of the activation.</summary>
    public string Activation { get; init; } = "hidden_act";

    /// <summary>Activation where the field is absent.</summary>
    public string DefaultActivation { get; init; } = "silu";

    /// <summary>Whether the feed-forward block has a gate; T5's configuration says so itself.</summary>
    public bool HasGate { get; init; } = true;

    /// <summary>Whether positions are rotary.</summary>
    public bool HasRope { get; init; } = true;

    /// <summary>Rotated share of a head where the field is absent; 1 for families that rotate all of it.</summary>
    public double DefaultPartialRotary { get; init; } = 1;

    /// <summary>Field of the longest context; null where there is no limit.</summary>
    public string? Positions { get; init; } = "max_position_embeddings";

    /// <summary>Positions where the field is absent.</summary>
    public int DefaultPositions { get; init; }

    /// <summary>RoBERTa: the first token has the position of padding + 1.</summary>
    public bool CountsPositionsFromPadding { get; init; }

    /// <summary>Keys of a sliding window where the field is absent; 0 for families without the field.</summary>
    public int DefaultWindow { get; init; }

    /// <summary>Whether <c>attention_bias</c> counts.</summary>
    public bool HasAttentionBias { get; init; }

    /// <summary>Whether <c>mlp_bias</c> counts.</summary>
    public bool HasMlpBias { get; init; }

    /// <summary>Whether the language-model head is the word table where the field is absent.</summary>
    public bool IsTied { get; init; }

    /// <summary>Rows of the segment table where the field is absent; 0 for families without segments.</summary>
    public int DefaultTypes { get; init; }

    /// <summary>Padding's id where the field is absent.</summary>
    public int? DefaultPad { get; init; }

    /// <summary>T5: the checkpoint may be that of an encoder and a decoder, of which the encoder is taken.</summary>
    public bool IsHalf { get; init; }

    /// <summary>The family of a <c>model_type</c>, or null.</summary>
    public static ConfigFamily? Find(string modelType) => s_families.GetValueOrDefault(modelType);
}
