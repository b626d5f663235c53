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

    // What every PretrainedConfig carries without effect on hidden states: bookkeeping, training-time dropout, defaults of text generation.
    private static readonly HashSet<string> s_withoutEffect = new(StringComparer.Ordinal)
    {
        "_attn_implementation_autoset", "_name_or_path", "attention_dropout", "attention_probs_dropout_prob", "attn_implementation",
        "bad_words_ids", "chunk_size_feed_forward", "classifier_dropout", "cls_token_id", "cross_attention_hidden_size", "decoder_start_token_id",
        "do_sample", "dtype", "finetuning_task", "gradient_checkpointing", "hidden_dropout_prob", "label2id", "length_penalty", "mask_token_id",
        "max_length", "max_new_tokens", "min_length", "name_or_path", "num_beams", "num_return_sequences", "output_attentions",
        "output_hidden_states", "output_scores", "prefix", "pretraining_tp", "problem_type", "remove_invalid_values", "repetition_penalty",
        "return_dict", "return_dict_in_generate", "sep_token_id", "task_specific_params", "temperature", "tf_legacy_loss", "tie_encoder_decoder",
        "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript", "transformers_version", "use_bfloat16", "use_cache",
    };

    // Fields that would change hidden states if they asked for anything.
    private static readonly string[] s_unsupported =
        ["quantization_config", "pruned_heads", "is_encoder_decoder", "add_cross_attention", "is_decoder", "use_mrope"];

    private static ModelConfig Read(JsonFields fields)
    {
        fields = fields.Tracked();
        string type = fields.Text("model_type");
        bool bert = type == "bert";
        if (!bert && type is not ("llama" or "mistral" or "qwen2"))
            throw fields.Error("model_type", $"is \"{type}\", a family that is not supported; supported are llama, mistral, qwen2 and bert");
        foreach (string name in s_unsupported.Where(fields.IsSet)) throw fields.Error(name, "is set, which is not supported");
        if (fields.TextOrNull("position_embedding_type") is { } kind and not "absolute")
            throw fields.Error("position_embedding_type", $"is \"{kind}\"; only absolute positions are supported");
        if (fields.Number("partial_rotary_factor", 1, 0, 1) != 1) throw fields.Error("partial_rotary_factor", "must be 1 for this family");

        int layers = fields.Int("num_hidden_layers", 1, MaxLayers);
        int hidden = fields.Int("hidden_size", 1, MaxWidth);
        int heads = fields.Int("num_attention_heads", 1, MaxHeads);
        int headDim = bert ? 0 : fields.IntOrNull("head_dim", 1, MaxWidth) ?? 0;
        if (headDim == 0)
        {
            if (hidden % heads != 0) throw fields.Error("hidden_size", $"is {hidden}, which {heads} attention heads do not divide");
            headDim = hidden / heads;
        }

        int kvHeads = bert ? heads : KeyValueHeads(fields, type, heads);
        if (heads % kvHeads != 0) throw fields.Error("num_key_value_heads", $"is {kvHeads}, which does not divide the {heads} attention heads");
        if (!bert && headDim % 2 != 0) throw fields.Error("head_dim", $"is {headDim}, but rotary positions need an even width");
        (double theta, RopeScaling? scaling) = bert ? (0, null) : ReadRope(fields);
        string normField = bert ? "layer_norm_eps" : "rms_norm_eps";
        return new ModelConfig(fields.Element.GetRawText())
        {
            ModelType = type,
            Architecture = fields.TextsOrNull("architectures")?.FirstOrDefault() ?? "",
            HiddenSize = hidden,
            IntermediateSize = fields.Int("intermediate_size", 1, MaxWidth),
            NumHiddenLayers = layers,
            NumAttentionHeads = heads,
            NumKeyValueHeads = kvHeads,
            HeadDim = headDim,
            VocabSize = fields.Int("vocab_size", 1, MaxVocab),
            MaxPositionEmbeddings = fields.IntOrNull("max_position_embeddings", 1, MaxPositions)
                ?? type switch { "bert" => 512, "llama" => 2048, "mistral" => 131072, _ => 32768 },
            NormEps = fields.Number(normField, bert ? 1e-12 : 1e-6, 0, 1),
            HiddenAct = ReadActivation(fields, bert ? "gelu" : "silu"),
            RopeTheta = theta,
            RopeScaling = scaling,
            SlidingWindows = ReadWindows(fields, type, layers),
            IsCausal = fields.Flag("is_causal", !bert),
            AttentionBias = type == "llama" && fields.Flag("attention_bias", false),
            MlpBias = type == "llama" && fields.Flag("mlp_bias", false),
            TieWordEmbeddings = fields.Flag("tie_word_embeddings", bert),
            TypeVocabSize = bert ? fields.IntOrNull("type_vocab_size", 1, MaxVocab) ?? 2 : 0,
            PadTokenId = ReadTokenId(fields, "pad_token_id") ?? (bert && !fields.Element.TryGetProperty("pad_token_id", out _) ? 0 : null),
            BosTokenId = ReadTokenId(fields, "bos_token_id"),
            EosTokenId = ReadTokenId(fields, "eos_token_id"),
            NumLabels = ReadLabels(fields),
            InitializerRange = fields.Number("initializer_range", 0.02, 0, 1000),
            UnknownFields = [.. fields.Unasked.Where(name => !s_withoutEffect.Contains(name))],
        };
    }

    private static int KeyValueHeads(JsonFields fields, string type, int heads)
    {
        int? given = fields.IntOrNull("num_key_value_heads", 1, MaxHeads);
        // A field that is null means "as many"; one that is absent means the default of the class.
        if (given is not null || type == "llama" || fields.Element.TryGetProperty("num_key_value_heads", out _)) return given ?? heads;
        return type == "mistral" ? 8 : 32;
    }

    private static Activation ReadActivation(JsonFields fields, string otherwise)
    {
        string name = fields.TextOrNull("hidden_act") ?? otherwise;
        return name switch
        {
            "silu" or "swish" => Activation.Silu,
            "gelu" => Activation.GeluErf,
            "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" => Activation.GeluTanh,
            "relu" => Activation.Relu,
            _ => throw fields.Error("hidden_act", $"is \"{name}\"; supported are silu, gelu, gelu_new, gelu_pytorch_tanh, gelu_fast and relu"),
        };
    }

    private static (double Theta, RopeScaling? Scaling) ReadRope(JsonFields fields)
    {
        JsonFields? old = fields.ObjectOrNull("rope_scaling"), current = fields.ObjectOrNull("rope_parameters");
        if (old is not null && current is not null) throw fields.Error("rope_parameters", "and field \"rope_scaling\" are both given; keep one");
        double theta = fields.Number("rope_theta", 10_000, 1e-3, 1e15);
        if ((current ?? old) is not { } rope) return (theta, null);
        foreach (string name in rope.Names)
        {
            if (name is not ("type" or "rope_type" or "rope_theta" or "factor" or "low_freq_factor" or "high_freq_factor"
                or "original_max_position_embeddings" or "partial_rotary_factor"))
                throw rope.Error(name, "is not supported");
        }

        theta = rope.Number("rope_theta", theta, 1e-3, 1e15);
        if (rope.Number("partial_rotary_factor", 1, 0, 1) != 1) throw rope.Error("partial_rotary_factor", "must be 1 for this family");
        string type = rope.TextOrNull("rope_type") ?? rope.TextOrNull("type") ?? "default";
        if (type == "default") return (theta, null);
        if (type == "linear") return (theta, new RopeScaling(RopeScalingType.Linear, rope.Number("factor", 1e-3, 1e6)));
        if (type != "llama3") throw rope.Error("rope_type", $"is \"{type}\"; supported are default, linear and llama3");
        RopeScaling scaling = new(RopeScalingType.Llama3, rope.Number("factor", 1e-3, 1e6), rope.Number("low_freq_factor", 1e-6, 1e6),
            rope.Number("high_freq_factor", 1e-6, 1e6), rope.Int("original_max_position_embeddings", 1, MaxPositions));
        if (scaling.HighFreqFactor <= scaling.LowFreqFactor) throw rope.Error("high_freq_factor", "must be greater than low_freq_factor");
        return (theta, scaling);
    }

    private static int[] ReadWindows(JsonFields fields, string type, int layers)
    {
        int[] windows = new int[layers];
        if (type is not ("mistral" or "qwen2")) return windows;
        bool given = fields.Element.TryGetProperty("sliding_window", out _);
        int window = fields.IntOrNull("sliding_window", 1, MaxPositions) ?? (given ? 0 : 4096);
        if (type == "qwen2" && !fields.Flag("use_sliding_window", false)) window = 0;
        string[]? kinds = fields.TextsOrNull("layer_types");
        if (kinds is not null && kinds.Length != layers) throw fields.Error("layer_types", $"has {kinds.Length} entries for {layers} layers");
        int firstSliding = type == "qwen2" ? fields.IntOrNull("max_window_layers", 0, MaxLayers) ?? 28 : 0;
        for (int layer = 0; layer < layers; layer++)
        {
            bool sliding = kinds?[layer] switch
            {
                null => window > 0 && layer >= firstSliding,
                "full_attention" => false,
                "sliding_attention" => true,
                string other => throw fields.Error($"layer_types[{layer}]", $"is \"{other}\"; supported are full_attention and sliding_attention"),
            };
            if (sliding && window == 0) throw fields.Error($"layer_types[{layer}]", "is \"sliding_attention\" but no sliding_window is in force");
            windows[layer] = sliding ? window : 0;
        }

        return windows;
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

    private static int ReadLabels(JsonFields fields)
    {
        // transformers derives the number from the names and writes only these; without either a head has two outputs.
        if (fields.ObjectOrNull("id2label") is { } labels) return Math.Max(1, labels.Names.Count());
        return fields.IntOrNull("num_labels", 1, MaxWidth) ?? 2;
    }
}
