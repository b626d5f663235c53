using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <content>From JSON fields to the record, family by family.</content>
public sealed partial record ModelConfig
{
    private const int MaxWidth = 1 << 20, MaxLayers = 4096, MaxHeads = 1 << 14, MaxVocab = 1 << 28, MaxPositions = 1 << 28;

    // What every PretrainedConfig carries without effect on hidden states: bookkeeping, training-time dropout, defaults of text generation, heads.
    private static readonly HashSet<string> s_withoutEffect = new(StringComparer.Ordinal)
    {
        "_attn_implementation_autoset", "_name_or_path", "attention_dropout", "attention_probs_dropout_prob", "attn_implementation",
        "bad_words_ids", "cache_implementation", "chunk_size_feed_forward", "classifier_dropout", "cls_token_id", "cross_attention_hidden_size", "decoder_bias", "decoder_start_token_id", "dense_act_fn",
        "deterministic_flash_attn", "do_sample", "dropout_rate", "dtype", "embd_pdrop", "embedding_dropout", "final_logit_softcapping",
        "finetuning_task", "gradient_checkpointing", "hidden_act", "hidden_dropout_prob", "initializer_cutoff_factor", "initializer_factor",
        "is_gated_act", "label2id", "length_penalty", "mask_token_id", "max_length", "max_new_tokens", "max_window_layers", "min_length",
        "mlp_dropout", "n_positions", "name_or_path", "num_beams", "num_decoder_layers", "num_return_sequences", "output_attentions",
        "output_hidden_states", "output_past", "output_scores", "prefix", "pretraining_tp", "problem_type", "reference_compile",
        "remove_invalid_values", "repad_logits_with_grad", "repetition_penalty", "resid_pdrop", "return_dict", "return_dict_in_generate",
        "sbert_ce_default_activation_function", "scale_decoder_outputs", "sentence_transformers", "sep_token_id", "sparse_pred_ignore_index", "sparse_prediction", "task_specific_params", "temperature",
        "tf_legacy_loss", "tie_encoder_decoder", "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript", "transformers_version",
        "use_bfloat16", "use_cache",
    };

    // Fields that would change hidden states if they asked for anything.
    private static readonly string[] s_unsupported =
    [
        "quantization_config", "pruned_heads", "is_encoder_decoder", "add_cross_attention", "is_decoder", "use_mrope", "qk_layernorm",
        "use_bidirectional_attention",
    ];

    private static ModelConfig Read(JsonFields fields)
    {
        fields = fields.Tracked();
        string type = fields.Text("model_type");
        ConfigFamily family = ConfigFamily.Find(type)
            ?? throw fields.Error("model_type", $"is \"{type}\", a family that is not supported; supported are {string.Join(", ", ConfigFamily.Known)}");
        foreach (string name in s_unsupported.Where(fields.IsSet))
        {
            if (!(family.IsHalf && name == "is_encoder_decoder")) throw fields.Error(name, "is set, which is not supported");
        }

        if (fields.TextOrNull("position_embedding_type") is { } kind and not "absolute")
            throw fields.Error("position_embedding_type", $"is \"{kind}\"; only absolute positions are supported");

        int layers = fields.Int(family.Layers, 1, MaxLayers);
        int hidden = fields.Int(family.Hidden, 1, MaxWidth);
        int heads = fields.Int(family.Heads, 1, MaxHeads);
        int headDim = ReadHeadDim(fields, family, hidden, heads);
        int kvHeads = ReadKeyValueHeads(fields, family, heads);
        if (heads % kvHeads != 0) throw fields.Error("num_key_value_heads", $"is {kvHeads}, which does not divide the {heads} attention heads");
        Rope rope = family.HasRope ? ReadRope(fields, family) : default;
        int rotaryDim = (int)(headDim * rope.Share);
        if (family.HasRope && (rotaryDim % 2 != 0 || rotaryDim == 0))
            throw fields.Error("head_dim", $"is {headDim}, of which {rotaryDim} are rotated, but rotary positions need an even width");
        (Activation activation, bool isGated) = type == "t5" ? ReadFeedForward(fields) : (ReadActivation(fields, family), family.HasGate);
        int? pad = ReadTokenId(fields, "pad_token_id") ?? (fields.Element.TryGetProperty("pad_token_id", out _) ? null : family.DefaultPad);
        int offset = family.CountsPositionsFromPadding ? (pad ?? throw fields.Error("pad_token_id", "is needed: positions are counted from it")) + 1 : 0;
        int positions = (family.Positions is null ? null : fields.IntOrNull(family.Positions, offset + 1, MaxPositions)) ?? family.DefaultPositions;
        return new ModelConfig(fields.Element.GetRawText())
        {
            ModelType = type,
            Architecture = fields.TextsOrNull("architectures")?.FirstOrDefault() ?? "",
            HiddenSize = hidden,
            IntermediateSize = fields.Int(family.Inner, 1, MaxWidth),
            NumHiddenLayers = layers,
            NumAttentionHeads = heads,
            NumKeyValueHeads = kvHeads,
            HeadDim = headDim,
            VocabSize = fields.Int("vocab_size", 1, MaxVocab),
            MaxPositionEmbeddings = positions - offset,
            PositionOffset = offset,
            NormEps = fields.Number(family.NormEps, family.DefaultNormEps, 0, 1),
            HiddenAct = activation,
            IsGated = isGated,
            RotaryDim = rotaryDim,
            RopeTheta = rope.Theta,
            LocalRopeTheta = rope.LocalTheta,
            RopeScaling = rope.Scaling,
            SlidingWindows = ReadWindows(fields, family, layers),
            IsCausal = fields.Flag("is_causal", !family.IsEncoder),
            AttentionBias = family.HasAttentionBias && fields.Flag("attention_bias", false),
            MlpBias = family.HasMlpBias && fields.Flag("mlp_bias", false),
            NormBias = type == "modernbert" && fields.Flag("norm_bias", false),
            AttentionScale = type switch
            {
                "t5" => 1,
                "gemma2" => Math.Pow(fields.Number("query_pre_attn_scalar", 256, 1e-6, 1e9), -0.5),
                _ => Math.Pow(headDim, -0.5),
            },
            LogitSoftCap = type == "gemma2" ? ReadSoftCap(fields) : 0,
            RelativeBuckets = type == "t5" ? fields.IntOrNull("relative_attention_num_buckets", 4, 1 << 16) ?? 32 : 0,
            RelativeMaxDistance = type == "t5" ? fields.IntOrNull("relative_attention_max_distance", 1, MaxPositions) ?? 128 : 0,
            TieWordEmbeddings = fields.Flag("tie_word_embeddings", family.IsTied),
            TypeVocabSize = family.DefaultTypes > 0 ? fields.IntOrNull("type_vocab_size", 1, MaxVocab) ?? family.DefaultTypes : 0,
            PadTokenId = pad,
            BosTokenId = ReadTokenId(fields, "bos_token_id"),
            EosTokenId = ReadTokenId(fields, "eos_token_id"),
            NumLabels = ReadLabels(fields),
            ClassifierPooling = ReadClassifierPooling(fields),
            ClassifierActivation = ReadClassifierActivation(fields),
            ClassifierBias = fields.Flag("classifier_bias", false),
            InitializerRange = fields.Number("initializer_range", 0.02, 0, 1000),
            UnknownFields = [.. fields.Unasked.Where(name => !s_withoutEffect.Contains(name))],
        };
    }

    private static int ReadHeadDim(JsonFields fields, ConfigFamily family, int hidden, int heads)
    {
        int given = family.HeadDim is null ? 0 : fields.IntOrNull(family.HeadDim, 1, MaxWidth) ?? family.DefaultHeadDim;
        if (given > 0) return given;
        if (hidden % heads != 0) throw fields.Error(family.Hidden, $"is {hidden}, which {heads} attention heads do not divide");
        return hidden / heads;
    }

    private static int ReadKeyValueHeads(JsonFields fields, ConfigFamily family, int heads)
    {
        if (family.KeyValueHeads is not { } name) return heads;
        // A field that is null means "as many"; one that is absent means the default of the class.
        if (fields.IntOrNull(name, 1, MaxHeads) is { } given) return given;
        return fields.Element.TryGetProperty(name, out _) || family.DefaultKeyValueHeads == 0 ? heads : family.DefaultKeyValueHeads;
    }

    private static Activation ReadActivation(JsonFields fields, ConfigFamily family)
    {
        string? name = fields.TextOrNull(family.Activation);
        // Gemma 1.0 was published with "hidden_act": "gelu" and trained with the approximation by tanh.
        if (name is null && family.ModelType == "gemma" && fields.TextOrNull("hidden_act") is { } old and not "gelu") name = old;
        name ??= family.DefaultActivation;
        return ToActivation(name) ?? throw fields.Error(family.Activation, $"is \"{name}\"; supported are {KnownActivations}");
    }

    private const string KnownActivations = "silu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast and relu";

    private static Activation? ToActivation(string name) => name switch
    {
        "silu" or "swish" => Activation.Silu,
        "gelu" => Activation.GeluErf,
        "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" => Activation.GeluTanh,
        "relu" => Activation.Relu,
        _ => null,
    };

    /// <summary>T5's <c>feed_forward_proj</c>: an activation, or <c>gated-</c> and one; <c>gated-gelu</c> means the approximation by tanh.</summary>
    private static (Activation Activation, bool IsGated) ReadFeedForward(JsonFields fields)
    {
        const string Field = "feed_forward_proj", Gated = "gated-";
        string kind = fields.TextOrNull(Field) ?? "relu";
        bool isGated = kind.StartsWith(Gated, StringComparison.Ordinal);
        string name = isGated ? kind[Gated.Length..] : kind;
        if (isGated && name == "gelu") name = "gelu_new";
        return (ToActivation(name) ?? throw fields.Error(Field, $"is \"{kind}\"; supported are {KnownActivations}, each also with \"{Gated}\""), isGated);
    }

    /// <summary>Gemma 2's cap on attention logits: null means none, absence the class's default.</summary>
    private static double ReadSoftCap(JsonFields fields)
    {
        const string Field = "attn_logit_softcapping";
        return fields.Has(Field) ? fields.Number(Field, 1e-3, 1e9) : fields.Element.TryGetProperty(Field, out _) ? 0 : 50;
    }

    private static Rope ReadRope(JsonFields fields, ConfigFamily family)
    {
        JsonFields? old = fields.ObjectOrNull("rope_scaling"), current = fields.ObjectOrNull("rope_parameters");
        if (old is not null && current is not null) throw fields.Error("rope_parameters", "and field \"rope_scaling\" are both given; keep one");
        if (family.ModelType == "modernbert")
        {
            Rope global = new(fields.Number("global_rope_theta", 160_000, 1e-3, 1e15), 0, null, 1), local = global with
            {
                Theta = fields.Has("local_rope_theta") || !fields.Element.TryGetProperty("local_rope_theta", out _)
                    ? fields.Number("local_rope_theta", 10_000, 1e-3, 1e15) : global.Theta,
            };
            if (old is not null) throw fields.Error("rope_scaling", "is not supported for this family");
            if (current is { } layers)
            {
                foreach (string name in layers.Names.Where(name => name is not ("full_attention" or "sliding_attention"))) throw layers.Error(name, "is not supported");
                if (layers.ObjectOrNull("full_attention") is { } full) global = ReadScaling(full, global);
                if (layers.ObjectOrNull("sliding_attention") is { } sliding) local = ReadScaling(sliding, local);
                if (local.Scaling != global.Scaling) throw layers.Error("sliding_attention", "asks for another scaling than full_attention, which is not supported");
            }

            return global with { LocalTheta = local.Theta };
        }

        Rope rope = new(fields.Number("rope_theta", 10_000, 1e-3, 1e15), 0, null, ReadShare(fields, family.DefaultPartialRotary));
        rope = (current ?? old) is { } scaled ? ReadScaling(scaled, rope) : rope;
        return rope with { LocalTheta = rope.Theta };
    }

    private static double ReadShare(JsonFields fields, double otherwise)
    {
        double share = fields.Number("partial_rotary_factor", otherwise, 1e-6, 1);
        return otherwise == 1 && share != 1 ? throw fields.Error("partial_rotary_factor", "must be 1 for this family") : share;
    }

    /// <summary>The fields of <c>rope_scaling</c> (transformers 4) or <c>rope_parameters</c> (5) over <paramref name="otherwise"/>.</summary>
    private static Rope ReadScaling(JsonFields rope, Rope otherwise)
    {
        foreach (string name in rope.Names)
        {
            if (name is not ("type" or "rope_type" or "rope_theta" or "factor" or "low_freq_factor" or "high_freq_factor"
                or "original_max_position_embeddings" or "partial_rotary_factor"))
                throw rope.Error(name, "is not supported");
        }

        Rope given = otherwise with { Theta = rope.Number("rope_theta", otherwise.Theta, 1e-3, 1e15), Share = ReadShare(rope, otherwise.Share) };
        string type = rope.TextOrNull("rope_type") ?? rope.TextOrNull("type") ?? "default";
        if (type == "default") return given;
        if (type == "linear") return given with { Scaling = new RopeScaling(RopeScalingType.Linear, rope.Number("factor", 1e-3, 1e6)) };
        if (type != "llama3") throw rope.Error("rope_type", $"is \"{type}\"; supported are default, linear and llama3");
        RopeScaling scaling = new(RopeScalingType.Llama3, rope.Number("factor", 1e-3, 1e6), rope.Number("low_freq_factor", 1e-6, 1e6),
            rope.Number("high_freq_factor", 1e-6, 1e6), rope.Int("original_max_position_embeddings", 1, MaxPositions));
        if (scaling.HighFreqFactor <= scaling.LowFreqFactor) throw rope.Error("high_freq_factor", "must be greater than low_freq_factor");
        return given with { Scaling = scaling };
    }

    private static int[] ReadWindows(JsonFields fields, ConfigFamily family, int layers)
    {
        int[] windows = new int[layers];
        (int window, Func<int, bool> slides) = ReadWindowRule(fields, family);
        if (window < 0) return windows;
        string[]? kinds = fields.TextsOrNull("layer_types");
        if (kinds is not null && kinds.Length != layers) throw fields.Error("layer_types", $"has {kinds.Length} entries for {layers} layers");
        for (int layer = 0; layer < layers; layer++)
        {
            bool sliding = kinds?[layer] switch
            {
                null => window > 0 && slides(layer),
                "full_attention" => false,
                "sliding_attention" => true,
                string other => throw fields.Error($"layer_types[{layer}]", $"is \"{other}\"; supported are full_attention and sliding_attention"),
            };
            if (sliding && window == 0) throw fields.Error($"layer_types[{layer}]", "is \"sliding_attention\" but no sliding_window is in force");
            windows[layer] = sliding ? window : 0;
        }

        return windows;
    }

    /// <summary>
    /// How many keys a window has, the query's own included (-1: the family has no windows), and which layers have one where they are not listed.
    /// </summary>
    private static (int Window, Func<int, bool> Slides) ReadWindowRule(JsonFields fields, ConfigFamily family)
    {
        if (family.ModelType == "modernbert")
        {
            int every = fields.IntOrNull("global_attn_every_n_layers", 1, MaxLayers) ?? 3;
            return ((fields.IntOrNull("local_attention", 1, MaxPositions) ?? 128) / 2 + 1, layer => layer % every != 0);
        }

        if (family.DefaultWindow == 0) return (-1, _ => false);
        bool given = fields.Element.TryGetProperty("sliding_window", out _);
        int window = fields.IntOrNull("sliding_window", 1, MaxPositions) ?? (given ? 0 : family.DefaultWindow);
        if (family.ModelType == "gemma2") return (window, layer => layer % 2 == 0);
        if (family.ModelType == "mistral") return (window, _ => true);
        if (!fields.Flag("use_sliding_window", false)) window = 0;
        int first = fields.IntOrNull("max_window_layers", 0, MaxLayers) ?? 28;
        return (window, layer => layer >= first);
    }

    private static int? ReadTokenId(JsonFields fields, string name)
    {
        if (!fields.TryGet(name, out JsonElement value)) return null;
        if (value.ValueKind == JsonValueKind.Array)
        {
            if (value.GetArrayLength() == 0) return null;
            value = value[0];
        }

        if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt32(out int id) || id is < -1 or > MaxVocab)
            throw fields.Error(name, $"must be a token id, not {JsonFields.Shorten(value)}");
        // Early Llama checkpoints write -1 for "none".
        return id == -1 ? null : id;
    }

    private static Pooling ReadClassifierPooling(JsonFields fields) => fields.TextOrNull("classifier_pooling") switch
    {
        null or "cls" => Pooling.Cls,
        "mean" => Pooling.Mean,
        string other => throw fields.Error("classifier_pooling", $"is \"{other}\"; supported are cls and mean"),
    };

    private static Activation ReadClassifierActivation(JsonFields fields)
    {
        string name = fields.TextOrNull("classifier_activation") ?? "gelu";
        return ToActivation(name) ?? throw fields.Error("classifier_activation", $"is \"{name}\"; supported are {KnownActivations}");
    }

    private static int ReadLabels(JsonFields fields)
    {
        // transformers derives the number from the names and writes only these; without either a head has two outputs.
        if (fields.ObjectOrNull("id2label") is { } labels) return Math.Max(1, labels.Names.Count());
        return fields.IntOrNull("num_labels", 1, MaxWidth) ?? 2;
    }

    /// <summary>Rotary positions: θ of layers that see everything and of those with a window, scaling, and the share of a head that is rotated.</summary>
    private readonly record struct Rope(double Theta, double LocalTheta, RopeScaling? Scaling, double Share);
}
