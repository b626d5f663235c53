using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Checkpoints;

internal sealed class ModelConfigTests
{
    private const string Llama = """
        {"architectures": ["LlamaModel"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 3,
         "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 320, "max_position_embeddings": 512, "rms_norm_eps": 1e-05,
         "rope_theta": 500000.0, "hidden_act": "silu",
         "rope_scaling":
          {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 32, "rope_type": "llama3"},
         "eos_token_id": [2, 3], "bos_token_id": 1, "pad_token_id": -1, "torch_dtype": "bfloat16", "attention_bias": false}
        """;

    private const string Qwen2 = """
        {"model_type": "qwen2", "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 4,
         "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 320,
         "use_sliding_window": true, "sliding_window": 16, "max_window_layers": 2}
        """;

    private const string Mistral = """
        {"model_type": "mistral", "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 2, "num_attention_heads": 16, "vocab_size": 320}
        """;

    private const string Gemma2 = """
        {"model_type": "gemma2", "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 3, "num_attention_heads": 8, "vocab_size": 320}
        """;

    private const string Phi = """
        {"model_type": "phi", "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 320}
        """;

    private const string T5 = """
        {"model_type": "t5", "d_model": 64, "d_ff": 172, "num_layers": 3, "num_heads": 4, "vocab_size": 320, "is_encoder_decoder": true,
         "feed_forward_proj": "gated-gelu"}
        """;

    private const string ModernBert = """
        {"model_type": "modernbert", "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 320}
        """;

    private const string Bert = """
        {"model_type": "bert", "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 320}
        """;

    [Test]
    public void Parse_Llama3_GivesTheFields()
    {
        ModelConfig config = Parse(Llama);
        Assert.Multiple(() =>
        {
            Assert.That(config.ModelType, Is.EqualTo("llama"));
            Assert.That(config.Architecture, Is.EqualTo("LlamaModel"));
            Assert.That((config.HiddenSize, config.IntermediateSize, config.NumHiddenLayers), Is.EqualTo((64, 172, 3)));
            Assert.That((config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim), Is.EqualTo((8, 2, 8)));
            Assert.That((config.VocabSize, config.MaxPositionEmbeddings, config.NormEps), Is.EqualTo((320, 512, 1e-5)));
            Assert.That(config.RopeTheta, Is.EqualTo(500000));
            Assert.That(config.RopeScaling, Is.EqualTo(new RopeScaling(RopeScalingType.Llama3, 8, 1, 4, 32)));
            Assert.That((config.BosTokenId, config.EosTokenId, config.PadTokenId), Is.EqualTo(((int?)1, (int?)2, (int?)null)));
            Assert.That((config.HiddenAct, config.IsCausal, config.AttentionBias, config.TieWordEmbeddings),
                Is.EqualTo((Activation.Silu, true, false, false)));
            Assert.That(config.SlidingWindows, Is.EqualTo(new[] { 0, 0, 0 }));
            Assert.That(config.UnknownFields, Is.Empty);
            Assert.That(Parse(Edit(Llama, "is_causal", "false")).IsCausal, Is.False);
        });
    }

    [Test]
    public void Parse_AbsentFields_GetTheDefaultsOfTransformers()
    {
        ModelConfig mistral = Parse(Mistral), bert = Parse(Bert);
        Assert.Multiple(() =>
        {
            Assert.That((mistral.NumKeyValueHeads, mistral.NormEps, mistral.RopeTheta, mistral.MaxPositionEmbeddings),
                Is.EqualTo((8, 1e-6, 10000.0, 131072)));
            Assert.That(mistral.SlidingWindows, Is.EqualTo(new[] { 4096, 4096 }));
            Assert.That((bert.NumKeyValueHeads, bert.NormEps, bert.HiddenAct, bert.TypeVocabSize), Is.EqualTo((4, 1e-12, Activation.GeluErf, 2)));
            Assert.That((bert.MaxPositionEmbeddings, bert.PadTokenId, bert.IsCausal, bert.TieWordEmbeddings, bert.NumLabels),
                Is.EqualTo((512, (int?)0, false, true, 2)));
        });
    }

    [Test]
    public void Parse_AbsentFields_GetTheDefaultsOfEachFamily()
    {
        ModelConfig gemma = Parse(Gemma2), phi = Parse(Phi), t5 = Parse(T5), modern = Parse(ModernBert), roberta = Parse(Edit(Bert, "model_type", "\"roberta\""));
        Assert.Multiple(() =>
        {
            Assert.That((gemma.HeadDim, gemma.NumKeyValueHeads, gemma.HiddenAct, gemma.AttentionScale, gemma.LogitSoftCap),
                Is.EqualTo((256, 4, Activation.GeluTanh, 0.0625, 50.0)));
            Assert.That(gemma.SlidingWindows, Is.EqualTo(new[] { 4096, 0, 4096 }));
            Assert.That((phi.RotaryDim, phi.NumKeyValueHeads, phi.IsGated, phi.NormEps, phi.HiddenAct), Is.EqualTo((8, 4, false, 1e-5, Activation.GeluTanh)));
            Assert.That((t5.HeadDim, t5.IsGated, t5.HiddenAct, t5.AttentionScale, t5.RelativeBuckets, t5.RelativeMaxDistance, t5.IsCausal),
                Is.EqualTo((64, true, Activation.GeluTanh, 1.0, 32, 128, false)));
            Assert.That((modern.RopeTheta, modern.LocalRopeTheta, modern.IsGated, modern.NormBias), Is.EqualTo((160000.0, 10000.0, true, false)));
            Assert.That(modern.SlidingWindows, Is.EqualTo(new[] { 0, 65, 65, 0 }));
            Assert.That((roberta.MaxPositionEmbeddings, roberta.PositionOffset, roberta.PadTokenId), Is.EqualTo((510, 2, (int?)1)));
            Assert.That(Parse(Edit(ModernBert, "local_rope_theta", "null")).LocalRopeTheta, Is.EqualTo(160000));
            Assert.That(Parse(Edit(Gemma2, "attn_logit_softcapping", "null")).LogitSoftCap, Is.Zero);
            Assert.That(Parse(Edit(Phi, "partial_rotary_factor", "0.25")).RotaryDim, Is.EqualTo(4));
            Assert.That(Parse(Edit(Edit(Edit(Gemma2, "num_key_value_heads", "1"), "model_type", "\"gemma\""), "hidden_act", "\"gelu\"")).HiddenAct, Is.EqualTo(Activation.GeluTanh));
            Assert.That(Parse(Edit(Edit(Edit(Gemma2, "num_key_value_heads", "1"), "model_type", "\"gemma\""), "hidden_activation", "\"gelu\"")).HiddenAct, Is.EqualTo(Activation.GeluErf));
        });
    }

    [Test]
    public void Parse_SlidingWindows_FollowTheFamily()
    {
        Assert.Multiple(() =>
        {
            Assert.That(Parse(Qwen2).SlidingWindows, Is.EqualTo(new[] { 0, 0, 16, 16 }));
            Assert.That(Parse(Edit(Qwen2, "use_sliding_window", "false")).SlidingWindows, Is.EqualTo(new[] { 0, 0, 0, 0 }));
            Assert.That(
                Parse(Edit(Qwen2, "layer_types", """["sliding_attention","full_attention","full_attention","sliding_attention"]""")).SlidingWindows,
                Is.EqualTo(new[] { 16, 0, 0, 16 }));
            Assert.That(Parse(Edit(Mistral, "sliding_window", "null")).SlidingWindows, Is.EqualTo(new[] { 0, 0 }));
            Assert.That(Parse(Edit(Mistral, "sliding_window", "7")).SlidingWindows, Is.EqualTo(new[] { 7, 7 }));
        });
    }

    [Test]
    public void Parse_Rope_OfBothVersions()
    {
        string v5 = Edit(Edit(Llama, "rope_scaling", null), "rope_theta", null);
        Assert.Multiple(() =>
        {
            Assert.That(Parse(Edit(v5, "rope_parameters", """{"rope_type":"default","rope_theta":20000.0}""")).RopeTheta, Is.EqualTo(20000));
            Assert.That(Parse(Edit(v5, "rope_parameters", """{"rope_type":"linear","factor":2,"rope_theta":7}""")).RopeScaling,
                Is.EqualTo(new RopeScaling(RopeScalingType.Linear, 2)));
            Assert.That(Parse(Edit(Llama, "rope_scaling", """{"type":"linear","factor":2.5}""")).RopeScaling,
                Is.EqualTo(new RopeScaling(RopeScalingType.Linear, 2.5)));
            Assert.That(Parse(v5).RopeTheta, Is.EqualTo(10000));
        });
    }

    [TestCase("hidden_size", "65", "8 attention heads do not divide")]
    [TestCase("hidden_size", "0", "must lie between 1 and")]
    [TestCase("hidden_size", "1e30", "must lie between 1 and")]
    [TestCase("hidden_size", "\"64\"", "must be a whole number")]
    [TestCase("hidden_size", "64.5", "must be a whole number")]
    [TestCase("hidden_size", null, "\"hidden_size\" is missing")]
    [TestCase("num_key_value_heads", "3", "does not divide the 8 attention heads")]
    [TestCase("model_type", "\"mamba\"", "\"mamba\", a family that is not supported")]
    [TestCase("model_type", null, "\"model_type\" is missing")]
    [TestCase("head_dim", "7", "even width")]
    [TestCase("hidden_act", "\"quick_gelu\"", "\"hidden_act\" is \"quick_gelu\"")]
    [TestCase("quantization_config", """{"bits":4}""", "\"quantization_config\" is set")]
    [TestCase("position_embedding_type", "\"relative_key\"", "\"position_embedding_type\" is \"relative_key\"")]
    [TestCase("partial_rotary_factor", "0.5", "must be 1")]
    [TestCase("rope_scaling", """{"type":"yarn","factor":2}""", "\"rope_scaling.rope_type\" is \"yarn\"")]
    [TestCase("rope_scaling", """{"rope_type":"llama3","factor":2}""", "\"rope_scaling.low_freq_factor\" is missing")]
    [TestCase("rope_scaling", """{"rope_type":"linear","factor":-1}""", "must lie between")]
    [TestCase("rope_scaling", """{"rope_type":"linear","factor":2,"attention_factor":3}""", "\"rope_scaling.attention_factor\" is not supported")]
    [TestCase("rope_parameters", """{"rope_type":"default"}""", "are both given")]
    [TestCase("eos_token_id", "-2", "must be a token id")]
    public void Parse_WhatCannotBeDone_IsRefusedByName(string field, string? value, string reason) =>
        Assert.That(() => Parse(Edit(Llama, field, value)),
            Throws.TypeOf<InputException>().With.Message.Contains(reason).And.Message.StartsWith("config.json"));

    [TestCase("layer_types", """["full_attention"]""", "has 1 entries for 4 layers")]
    [TestCase("layer_types", """["full_attention","full_attention","full_attention","linear_attention"]""",
        "\"layer_types[3]\" is \"linear_attention\"")]
    [TestCase("is_decoder", "true", "not supported")]
    public void Parse_Qwen2_WhatCannotBeDone_IsRefusedByName(string field, string value, string reason) =>
        Assert.That(() => Parse(Edit(Qwen2, field, value)), Throws.TypeOf<InputException>().With.Message.Contains(reason));

    [TestCase(Phi, "qk_layernorm", "true", "\"qk_layernorm\" is set")]
    [TestCase(Phi, "partial_rotary_factor", "0.01", "rotary positions need an even width")]
    [TestCase(Gemma2, "use_bidirectional_attention", "true", "\"use_bidirectional_attention\" is set")]
    [TestCase(T5, "feed_forward_proj", "\"gated-swoosh\"", "\"feed_forward_proj\" is \"gated-swoosh\"")]
    [TestCase(T5, "relative_attention_num_buckets", "2", "must lie between 4 and")]
    [TestCase(Bert, "is_encoder_decoder", "true", "\"is_encoder_decoder\" is set")]
    [TestCase(ModernBert, "layer_types", """["full_attention"]""", "has 1 entries for 4 layers")]
    [TestCase(ModernBert, "rope_parameters", """{"chunked_attention":{}}""", "\"rope_parameters.chunked_attention\" is not supported")]
    public void Parse_OtherFamilies_WhatCannotBeDone_IsRefusedByName(string json, string field, string value, string reason) =>
        Assert.That(() => Parse(Edit(json, field, value)), Throws.TypeOf<InputException>().With.Message.Contains(reason));

    [Test]
    public void Parse_UnknownFields_AreNamed() =>
        Assert.That(Parse(Edit(Edit(Llama, "new_idea", "3"), "other", "null")).UnknownFields, Is.EqualTo(new[] { "new_idea" }));

    [Test]
    public void ToJson_ChangesTypeAndClassOnly()
    {
        JsonObject before = JsonNode.Parse(Llama)!.AsObject(), after = JsonNode.Parse(Parse(Llama).ToJson(DType.F32, "LlamaForCausalLM"))!.AsObject();
        Assert.Multiple(() =>
        {
            Assert.That((string?)after["torch_dtype"], Is.EqualTo("float32"));
            Assert.That((string?)after["architectures"]![0], Is.EqualTo("LlamaForCausalLM"));
            Assert.That(after.Select(p => p.Key), Is.EqualTo(before.Select(p => p.Key)));
            Assert.That(after["rope_scaling"]!.ToJsonString(), Is.EqualTo(before["rope_scaling"]!.ToJsonString()));
        });
    }

    [TestCaseSource(typeof(Verification.Goldens), nameof(Verification.Goldens.Families))]
    public void Load_BothVersionsOfTransformers_MeanTheSame(string family)
    {
        string folder = SharedFolder.Require("goldens/models/" + family);
        ModelConfig v4 = ModelConfig.Load(folder);
        string v5Path = Path.Combine(folder, "config.v5.json");
        ModelConfig v5 = ModelConfig.Parse(File.ReadAllBytes(v5Path), v5Path);
        Assert.Multiple(() =>
        {
            foreach (System.Reflection.PropertyInfo property in typeof(ModelConfig).GetProperties().Where(p => p.Name != nameof(ModelConfig.Json)))
            {
                // T5's classes of version 5 always tie; no head is used here.
                if (v4.ModelType == "t5" && property.Name == nameof(ModelConfig.TieWordEmbeddings)) continue;
                Assert.That(property.GetValue(v5), Is.EqualTo(property.GetValue(v4)), property.Name);
            }

            Assert.That(v4.UnknownFields, Is.Empty);
        });
    }

    [Test]
    public void Load_EveryConfigOfTheGoldens_IsRead()
    {
        int read = 0;
        foreach (string path in Directory.EnumerateFiles(SharedFolder.Require("goldens"), "config*.json", SearchOption.AllDirectories))
        {
            string text = File.ReadAllText(path);
            bool sentence = Path.GetFileName(path).StartsWith("config_sentence", System.StringComparison.Ordinal);
            if (sentence || !text.Contains("\"model_type\": \"")) continue;
            Assert.That(ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(text), path).UnknownFields, Is.Empty, path);
            read++;
        }

        Assert.That(read, Is.GreaterThanOrEqualTo(36));
    }

    [Test]
    public void Parse_Damaged_NeverThrowsAnythingElse([Values(Llama, Qwen2, Gemma2, Phi, T5, ModernBert, Bert)] string json) =>
        Fuzz.Run(System.Text.Encoding.UTF8.GetBytes(json), bytes => ModelConfig.Parse(bytes, "config.json").ToJson(DType.F32), rounds: 1000);

    private static ModelConfig Parse(string json) => ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(json), "config.json");

    private static string Edit(string json, string field, string? value)
    {
        JsonObject root = JsonNode.Parse(json)!.AsObject();
        if (value is null) root.Remove(field);
        else root[field] = JsonNode.Parse(value);
        return root.ToJsonString();
    }
}
