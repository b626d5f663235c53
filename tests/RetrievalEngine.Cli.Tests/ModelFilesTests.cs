using System;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Encoding;
using RetrievalEngine.Models;

namespace RetrievalEngine.Cli.Tests;

/// <summary><c>model merge</c> and <c>model convert</c> on a tiny random model and its adapters.</summary>
internal sealed class ModelFilesTests
{
    private const string Config = """
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 3, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
         "hidden_act": "silu", "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "initializer_range": 0.3, "eos_token_id": 0, "torch_dtype": "float32"}
        """;

    private const string TokenizerJson = """
        {"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
         "post_processor": null, "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}
        """;

    private static readonly string[] s_mapsOfBoth = ["q_proj", "up_proj"];
    private string _folder = "";
    private CpuBackend _backend = null!;

    [SetUp]
    public void SetUp()
    {
        _folder = Directory.CreateTempSubdirectory("model-files").FullName;
        _backend = new CpuBackend(1);
        using Transformer model = Transformer.CreateRandom(_backend, ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(Config), "config"), seed: 5);
        CheckpointWriter.Write(At("base"), Config, [.. model.Parameters.Select(p => TensorSource.FromTensor(p.Name, _backend, p.Value, DType.F32)),
            TensorSource.FromFloat32("lm_head.weight", new Shape(3, 16), new float[48])]);
        File.WriteAllText(Path.Combine(At("base"), "tokenizer.json"), TokenizerJson);
    }

    [TearDown]
    public void TearDown()
    {
        _backend.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Test]
    public async Task Merge_SeveralAdapters_ComputesTheSumOfAll()
    {
        WriteAdapter("one", ["q_proj", "down_proj"], rank: 2, alpha: 4, phase: 0);
        WriteAdapter("two", s_mapsOfBoth, rank: 3, alpha: 3, phase: 1);
        Assert.That(await Run("model", "merge", "--model", At("base"), "--adapter", At("one"), "--adapter", At("two"), "--output", At("merged")), Is.Zero);
        using Transformer plain = Transformer.Load(_backend, At("base")), merged = Transformer.Load(_backend, At("merged"));
        using Adapter one = Adapter.Load(At("one")), two = Adapter.Load(At("two"));
        for (int i = 0; i < plain.Linears.Count; i++)
        {
            Linear linear = plain.Linears[i];
            double[] expected = [.. _backend.ToArray(linear.Weight.Value).Select(w => (double)w)];
            Add(one, linear.Name, expected, (int)linear.Inputs);
            Add(two, linear.Name, expected, (int)linear.Inputs);
            float[] actual = _backend.ToArray(merged.Linears[i].Weight.Value);
            for (int j = 0; j < expected.Length; j++) Assert.That(actual[j], Is.EqualTo(expected[j]).Within(1e-6), linear.Name);
        }

        Assert.That(await Run("encode", "--model", At("merged"), "--input", Corpus(), "--output", At("embeddings"), "--quiet"), Is.Zero, "the folder is a whole model");
    }

    [Test]
    public async Task Convert_KeepsEveryTensorAndName_InTheTypeWanted()
    {
        Assert.That(await Run("model", "convert", "--model", At("base"), "--output", At("half"), "--dtype", "bfloat16", "--max-shard-size", "1MB"), Is.Zero);
        using Checkpoint before = Checkpoint.Open(At("base")), after = Checkpoint.Open(At("half"));
        Assert.That(after.Tensors.Select(t => (t.Name, t.Shape)), Is.EquivalentTo(before.Tensors.Select(t => (t.Name, t.Shape))));
        Assert.That(after.Tensors.Select(t => t.StoredType).Distinct(), Is.EqualTo((string[])["BF16"]));
        Assert.That(ModelConfig.Load(At("half")).Architecture, Is.EqualTo("LlamaForCausalLM"));
        Assert.That(File.ReadAllText(Path.Combine(At("half"), "config.json")), Does.Contain("\"torch_dtype\": \"bfloat16\""));
        Assert.That(File.ReadAllText(Path.Combine(At("half"), "tokenizer.json")), Is.EqualTo(TokenizerJson));
        foreach (StoredTensor tensor in before.Tensors)
        {
            float[] exact = before.ReadFloat32(tensor.Name), rounded = after.ReadFloat32(tensor.Name);
            for (int i = 0; i < exact.Length; i++) Assert.That(rounded[i], Is.EqualTo(exact[i]).Within(MathF.Abs(exact[i]) / 256));
        }
    }

    [Test]
    public async Task Convert_TheContract_HoldsForTheNewWeights()
    {
        WriteAdapter("one", s_mapsOfBoth, rank: 2, alpha: 4, phase: 0);
        Assert.That(await Run("model", "merge", "--model", At("base"), "--adapter", At("one"), "--output", At("merged")), Is.Zero);
        Assert.That(await Run("model", "convert", "--model", At("merged"), "--output", At("small"), "--dtype", "float16"), Is.Zero);
        Assert.That(EncodingContract.For(At("small")).WeightsHash, Is.Not.EqualTo(EncodingContract.For(At("merged")).WeightsHash));
    }

    [Test]
    public async Task Convert_ATrainingRun_LeavesTheRunBehind_AndTakesTheModules()
    {
        SentenceTransformerWriter.Write(At("base"), new SentenceTransformerFolder(Pooling.Mean, true, 32, "", "", false), 16);
        File.WriteAllText(Path.Combine(At("base"), "training_run.json"), "{}");
        File.WriteAllText(Path.Combine(Directory.CreateDirectory(Path.Combine(At("base"), "checkpoint-5")).FullName, "config.json"), Config);
        Assert.That(await Run("model", "convert", "--model", At("base"), "--output", At("again")), Is.Zero);
        Assert.That(SentenceTransformerFolder.Find(At("again")), Is.EqualTo(SentenceTransformerFolder.Find(At("base"))));
        Assert.That(File.Exists(Path.Combine(At("again"), "training_run.json")), Is.False);
        Assert.That(Directory.Exists(Path.Combine(At("again"), "checkpoint-5")), Is.False);
    }

    [Test]
    public async Task Convert_ValueBeyondFloat16_IsNamedAndNothingWritten()
    {
        CheckpointWriter.Write(At("large"), Config, [TensorSource.FromFloat32("norm.weight", new Shape(2), (float[])[1, 70_000])]);
        Assert.That(await Run("model", "convert", "--model", At("large"), "--output", At("half"), "--dtype", "float16"), Is.EqualTo(ExitCodes.BadInput));
        Assert.That(Directory.Exists(At("half")), Is.False);
        Assert.That(() => ModelConversion.Convert(At("large"), At("half"), DType.F16), Throws.TypeOf<InputException>().With.Message.Contains("norm.weight").And.Message.Contains("70000"));
    }

    [Test]
    public async Task Convert_AnAdapter_IsTheSameAdapter()
    {
        WriteAdapter("one", s_mapsOfBoth, rank: 2, alpha: 4, phase: 0);
        Assert.That(await Run("model", "convert", "--model", At("one"), "--output", At("again"), "--dtype", "bfloat16"), Is.Zero);
        using Adapter before = Adapter.Load(At("one")), after = Adapter.Load(At("again"));
        Assert.That(after.Modules.Select(m => (m.Name, m.Rank)), Is.EqualTo(before.Modules.Select(m => (m.Name, m.Rank))));
        Assert.That(after.Weights.Tensors.Select(t => t.StoredType).Distinct(), Is.EqualTo((string[])["BF16"]));
    }

    [TestCase("7")]
    [TestCase("0GB")]
    [TestCase("GB")]
    public async Task Convert_ShardSizeThatIsNone_IsRefused(string size) =>
        Assert.That(await Run("model", "convert", "--model", At("base"), "--output", At("half"), "--max-shard-size", size), Is.EqualTo(ExitCodes.BadInput));

    private static Task<int> Run(params string[] arguments) => Program.RunAsync(arguments, CancellationToken.None);

    private static void Add(Adapter adapter, string name, double[] weight, int inputs)
    {
        AdapterModule? module = adapter.Modules.FirstOrDefault(m => m.Name == name);
        if (module is null) return;
        float[] a = adapter.Weights.ReadFloat32(module.A.Name), b = adapter.Weights.ReadFloat32(module.B.Name);
        for (int i = 0; i < weight.Length; i++)
        {
            for (int r = 0; r < module.Rank; r++) weight[i] += (double)module.Scale * b[(i / inputs * module.Rank) + r] * a[(r * inputs) + (i % inputs)];
        }
    }

    private void WriteAdapter(string name, string[] maps, int rank, int alpha, int phase)
    {
        using Transformer model = Transformer.Load(_backend, At("base"));
        AdapterConfig config = new() { R = rank, LoraAlpha = alpha, TargetModules = maps };
        LoraWeights.Attach(_backend, model, config, seed: 4);
        foreach (Parameter parameter in model.LoraParameters)
            _backend.Upload<float>([.. Enumerable.Range(0, (int)parameter.Value.Count).Select(i => 0.1f * MathF.Sin(i + phase))], parameter.Value);
        LoraWeights.Save(_backend, model, config, At(name));
    }

    private string Corpus()
    {
        string path = At("corpus.jsonl");
        File.WriteAllText(path, "{\"_id\": \"1\", \"title\": \"\", \"text\": \"abba\"}\n");
        return path;
    }

    private string At(string name) => Path.Combine(_folder, name);
}
