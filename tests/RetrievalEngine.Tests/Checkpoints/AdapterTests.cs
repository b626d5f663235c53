using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Checkpoints;

internal sealed class AdapterTests
{
    private const string Config =
        """{"peft_type":"LORA","r":2,"lora_alpha":8,"target_modules":["q_proj"],"modules_to_save":["score"],"task_type":"SEQ_CLS"}""";

    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [TestCase("training/llama2", 8, 16, 21, 0, "")]
    [TestCase("training/bert", 4, 16, 18, 0, "")]
    [TestCase("reranker/llama", 4, 8, 18, 1, "model.")]
    [TestCase("reranker/qwen2", 4, 8, 12, 1, "model.")]
    [TestCase("reranker/bert", 4, 8, 4, 2, "bert.")]
    public void Load_OfPeft_FindsModulesAndHeads(string golden, int rank, int alpha, int modules, int saved, string prefix)
    {
        using Adapter adapter = Adapter.Load(SharedFolder.Require($"goldens/{golden}/adapter"));
        Assert.Multiple(() =>
        {
            Assert.That((adapter.Config.R, adapter.Config.LoraAlpha), Is.EqualTo((rank, (double)alpha)));
            Assert.That(adapter.Modules, Has.Count.EqualTo(modules));
            Assert.That(adapter.Modules.Select(m => m.Scale), Is.All.EqualTo((float)alpha / rank));
            Assert.That(adapter.Modules.Select(m => m.Rank), Is.All.EqualTo(rank));
            Assert.That(adapter.Modules.Select(m => m.Name), Is.All.StartsWith("layers.").Or.StartsWith("encoder.layer."));
            Assert.That(adapter.Modules.All(m => adapter.Config.Targets(m.Name)), Is.True);
            Assert.That(adapter.Saved.Canonical, Has.Count.EqualTo(saved));
            Assert.That(adapter.ModulePrefix, Is.EqualTo(prefix));
        });
    }

    [TestCase("training/llama2")]
    [TestCase("reranker/llama")]
    [TestCase("reranker/bert")]
    public void Save_OfWhatWasLoaded_GivesPeftsFiles(string golden)
    {
        string source = SharedFolder.Require($"goldens/{golden}/adapter");
        using (Adapter adapter = Adapter.Load(source))
        {
            List<TensorSource> tensors = [];
            foreach (AdapterModule module in adapter.Modules)
            {
                tensors.Add(TensorSource.FromFile(adapter.ModulePrefix + Adapter.NameOfA(module.Name), adapter.Weights, module.A.Name, DType.F32));
                tensors.Add(TensorSource.FromFloat32(adapter.ModulePrefix + Adapter.NameOfB(module.Name), module.B.Shape, adapter.Weights.ReadFloat32(module.B.Name)));
            }

            foreach (string name in adapter.Saved.Canonical)
            {
                float[] values = adapter.ReadSaved(name);
                tensors.Add(TensorSource.FromFloat32(name, adapter.Weights.Find("base_model.model." + name).Shape, values));
            }

            Adapter.Save(_folder.Path, adapter.Config, tensors);
        }

        JsonNode before = JsonNode.Parse(File.ReadAllText(Path.Combine(source, AdapterConfig.FileName)))!;
        JsonNode after = JsonNode.Parse(File.ReadAllText(_folder.File(AdapterConfig.FileName)))!;
        Assert.Multiple(() =>
        {
            Assert.That(JsonNode.DeepEquals(after, before), $"{after}");
            Assert.That(File.ReadAllBytes(_folder.File(Adapter.WeightsFile)),
                Is.EqualTo(File.ReadAllBytes(Path.Combine(source, Adapter.WeightsFile))));
        });
    }

    [Test]
    public void ToJson_OfANewAdapter_HasEveryFieldOfPeft()
    {
        JsonObject golden = JsonNode.Parse(File.ReadAllText(SharedFolder.Require("goldens/training/llama2/adapter/adapter_config.json")))!.AsObject();
        AdapterConfig config = new() { R = 16, LoraAlpha = 32.5, LoraDropout = 0.1, TargetModules = ["q_proj"], TaskType = "FEATURE_EXTRACTION" };
        JsonObject json = JsonNode.Parse(config.ToJson())!.AsObject();
        AdapterConfig read = AdapterConfig.Parse(System.Text.Encoding.UTF8.GetBytes(config.ToJson()), "x");
        Assert.Multiple(() =>
        {
            Assert.That(json.Select(p => p.Key), Is.EqualTo(golden.Select(p => p.Key)));
            Assert.That((read.R, read.LoraAlpha, read.LoraDropout, read.TaskType), Is.EqualTo((16, 32.5, 0.1, "FEATURE_EXTRACTION")));
            Assert.That(read.TargetModules, Is.EqualTo(new[] { "q_proj" }));
        });
    }

    [Test]
    public void Parse_RealConfigs_AreReadOrRefusedByName()
    {
        string samples = SharedFolder.Require("data/models/peft-lora-headers");
        foreach (string path in Directory.EnumerateFiles(samples, "*.adapter_config.json"))
        {
            if (File.ReadAllText(path).Contains("\"fan_in_fan_out\": true"))
                Assert.That(() => AdapterConfig.Parse(File.ReadAllBytes(path), path),
                    Throws.TypeOf<InputException>().With.Message.Contains("fan_in_fan_out"));
            else Assert.That(AdapterConfig.Parse(File.ReadAllBytes(path), path).R, Is.GreaterThan(0), path);
        }
    }

    [Test]
    public void Patterns_FollowPeft()
    {
        AdapterConfig config = Parse("""
            {"peft_type":"LORA","r":4,"lora_alpha":8,"use_rslora":true,"target_modules":"model\\.layers\\.[01]\\..*_proj",
             "rank_pattern":{"k_proj":16,"layers.1.self_attn.q_proj":2,"^model.layers.0.mlp.up_proj":3},"alpha_pattern":{"k_proj":1.5}}
            """);
        Assert.Multiple(() =>
        {
            Assert.That(config.Targets("layers.0.self_attn.q_proj"), Is.True);
            Assert.That(config.Targets("layers.2.self_attn.q_proj"), Is.False);
            Assert.That(config.RankOf("layers.3.self_attn.k_proj"), Is.EqualTo(16));
            Assert.That(config.RankOf("layers.1.self_attn.q_proj"), Is.EqualTo(2));
            Assert.That(config.RankOf("layers.0.self_attn.q_proj"), Is.EqualTo(4));
            Assert.That(config.RankOf("layers.0.mlp.up_proj"), Is.EqualTo(3));
            Assert.That(config.RankOf("layers.0.self_attn.block_proj"), Is.EqualTo(4));
            Assert.That(config.ScaleOf("layers.3.self_attn.k_proj"), Is.EqualTo(1.5f / 4));
            Assert.That(config.ScaleOf("layers.0.self_attn.q_proj"), Is.EqualTo(4f));
        });
    }

    [Test]
    public void Targets_ByList_MatchesTheEndOfAName()
    {
        AdapterConfig config = new() { R = 1, LoraAlpha = 1, TargetModules = ["q_proj", "output.dense", "model.layers.1.mlp.up_proj"] };
        Assert.Multiple(() =>
        {
            Assert.That(config.Targets("layers.0.self_attn.q_proj"), Is.True);
            Assert.That(config.Targets("layers.0.self_attn.my_q_proj"), Is.False);
            Assert.That(config.Targets("encoder.layer.0.attention.output.dense"), Is.True);
            Assert.That(config.Targets("encoder.layer.0.intermediate.dense"), Is.False);
            Assert.That(config.Targets("layers.1.mlp.up_proj"), Is.True);
            Assert.That(config.Targets("layers.0.mlp.up_proj"), Is.False);
            Assert.That((config with { TargetPattern = AdapterConfig.AllLinear }).Targets("layers.0.mlp.up_proj"), Is.True);
        });
    }

    [TestCase("peft_type", "\"IA3\"", "\"peft_type\" is \"IA3\"")]
    [TestCase("peft_type", null, "\"peft_type\" is missing")]
    [TestCase("bias", "\"all\"", "\"bias\" is \"all\"")]
    [TestCase("use_dora", "true", "\"use_dora\" is set")]
    [TestCase("fan_in_fan_out", "true", "\"fan_in_fan_out\" is set")]
    [TestCase("layer_replication", "[[0,4],[2,5]]", "\"layer_replication\" is set")]
    [TestCase("trainable_token_indices", "[1]", "\"trainable_token_indices\" is set")]
    [TestCase("some_new_option", "7", "\"some_new_option\" is set")]
    [TestCase("init_lora_weights", "\"pissa\"", "the base weights were changed")]
    [TestCase("r", "0", "must lie between 1")]
    [TestCase("lora_alpha", null, "\"lora_alpha\" is missing")]
    [TestCase("lora_dropout", "1", "must lie between")]
    [TestCase("target_modules", "\"(\"", "pattern that cannot be used")]
    [TestCase("rank_pattern", """{"[":3}""", "pattern that cannot be used")]
    [TestCase("rank_pattern", """{"a":0}""", "\"rank_pattern.a\" must lie between")]
    public void Parse_WhatCannotBeDone_IsRefusedByName(string field, string? value, string reason)
    {
        JsonObject root = JsonNode.Parse(Config)!.AsObject();
        if (value is null) root.Remove(field);
        else root[field] = JsonNode.Parse(value);
        Assert.That(() => Parse(root.ToJsonString()), Throws.TypeOf<InputException>().With.Message.Contains(reason));
    }

    [TestCase("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight", 3, 4,
        "lora_A [2, 5] and lora_B [3, 4], which is not rank 2")]
    [TestCase("base_model.model.model.embed_tokens.weight", 3, 2, "neither a LoRA of a linear map nor part of modules_to_save")]
    [TestCase("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", 3, 1, "neither a LoRA")]
    [TestCase("score.weight", 1, 5, "neither a LoRA")]
    public void Load_UnexpectedTensor_IsRefusedByName(string name, long rows, long columns, string reason)
    {
        _folder.Write(AdapterConfig.FileName, Config);
        string a = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
        SafeTensorsWriter.Write(_folder.File(Adapter.WeightsFile), [Zeros(a, 2, 5), Zeros(name, rows, columns)]);
        Assert.That(() => Adapter.Load(_folder.Path), Throws.TypeOf<InputException>().With.Message.Contains(reason));
    }

    [Test]
    public void Load_IncompleteFolder_SaysWhatIsMissing()
    {
        Assert.That(() => Adapter.Load(_folder.File("absent")), Throws.TypeOf<InputException>().With.Message.Contains("no such folder"));
        Assert.That(() => Adapter.Load(_folder.Path), Throws.TypeOf<InputException>().With.Message.Contains("adapter_config.json: no such file"));
        _folder.Write(AdapterConfig.FileName, Config);
        Assert.That(() => Adapter.Load(_folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains("adapter_model.safetensors: no such file"));
        SafeTensorsWriter.Write(_folder.File(Adapter.WeightsFile), [Zeros("base_model.model.layers.0.q_proj.lora_A.weight", 2, 5)]);
        Assert.That(() => Adapter.Load(_folder.Path), Throws.TypeOf<InputException>().With.Message.Contains("lora_B.weight\" is missing"));
    }

    [Test]
    public void Parse_Damaged_NeverThrowsAnythingElse() => Fuzz.Run(System.Text.Encoding.UTF8.GetBytes(new AdapterConfig
    {
        R = 4,
        LoraAlpha = 8,
        TargetPattern = @"model\.layers\.(0|1)\..*",
        RankPattern = [KeyValuePair.Create("k_proj", 16.0)],
    }.ToJson()), bytes =>
    {
        AdapterConfig config = AdapterConfig.Parse(bytes, "adapter_config.json");
        config.Targets("layers.0.self_attn.q_proj");
        config.ScaleOf("layers.0.self_attn.q_proj");
        config.ToJson();
    }, rounds: 1000);

    private static TensorSource Zeros(string name, long rows, long columns) =>
        TensorSource.FromFloat32(name, new Shape(rows, columns), new float[rows * columns]);

    private static AdapterConfig Parse(string json) => AdapterConfig.Parse(System.Text.Encoding.UTF8.GetBytes(json), "adapter_config.json");
}
