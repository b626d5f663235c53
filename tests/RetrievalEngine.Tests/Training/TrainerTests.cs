using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Data;
using RetrievalEngine.Models;
using RetrievalEngine.Training;

namespace RetrievalEngine.Tests.Training;

/// <summary>The loop on a tiny random decoder over letters: one token a character.</summary>
[TestFixture]
internal sealed class TrainerTests
{
    private const string Config = """
        {"model_type":"llama","architectures":["LlamaModel"],"hidden_size":16,"intermediate_size":24,"num_hidden_layers":2,"num_attention_heads":2,"vocab_size":128,
         "max_position_embeddings":64,"rms_norm_eps":1e-6,"initializer_range":0.3}
        """;

    private string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("trainer").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void LossFallsAndEverythingIsGivenBack()
    {
        long blocks = DeviceMemory.LiveBlocks;
        string[] log = Train("a", new TrainingOptions { BatchSize = 4, TrainGroupSize = 2, MaxSteps = 30, LearningRate = 1e-2f, SaveSteps = 0 });
        Assert.That(log, Has.Length.EqualTo(30));
        Assert.That(Loss(log[^1]), Is.LessThan(0.5 * Loss(log[0])));
        Assert.That(DeviceMemory.LiveBlocks, Is.EqualTo(blocks));
    }

    [TestCase(true)]
    [TestCase(false)]
    public void AResumedRunEndsWithTheSameBytes(bool lora)
    {
        TrainingOptions options = new() { BatchSize = 3, TrainGroupSize = 3, MaxSteps = 9, LearningRate = 1e-2f, SaveSteps = 4, AccumulationSteps = 2, SaveTotalLimit = 1 };
        string[] whole = Train("whole", options, lora: lora);
        Assert.That(() => Train("stopped", options, lora: lora, stopAfter: 6), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(File.Exists(Path.Combine(_folder, "stopped", "weights.safetensors")), Is.False);
        string[] resumed = Train("stopped", options, lora: lora, resume: true);
        Assert.That(Bytes("stopped"), Is.EqualTo(Bytes("whole")));
        Assert.That(resumed.Select(Loss), Is.EqualTo(whole.Select(Loss)));
    }

    [Test]
    public void CheckpointingAndChunksDoNotChangeTheLoss()
    {
        TrainingOptions options = new() { BatchSize = 4, TrainGroupSize = 2, MaxSteps = 4, LearningRate = 1e-2f, SaveSteps = 0 };
        double[] plain = [.. Train("plain", options, lora: false).Select(Loss)], chunked = [.. Train("chunked", options with { BatchTokens = 7 }, lora: false).Select(Loss)];
        double[] recomputed = [.. Train("recomputed", options with { GradientCheckpointing = true }, lora: false).Select(Loss)];
        Assert.That(recomputed, Is.EqualTo(plain), "recomputed layers give the same bits");
        for (int i = 0; i < plain.Length; i++) Assert.That(chunked[i], Is.EqualTo(plain[i]).Within(1e-4).Percent);
    }

    [Test]
    public void KnownPositivesAreNoNegatives()
    {
        TrainingOptions options = new() { BatchSize = 6, TrainGroupSize = 1, MaxSteps = 1, SaveSteps = 0, MaskKnownPositives = true };
        // All six queries share their only positive: without any negative left the loss is 0.
        TrainingRow[] rows = [.. Enumerable.Range(0, 6).Select(i => new TrainingRow($"q{i}", $"question {i}", [new Document("d", "", "the answer")], []))];
        Assert.That(Loss(Train("masked", options, rows)[0]), Is.EqualTo(0).Within(1e-6));
        Assert.That(Loss(Train("unmasked", options with { MaskKnownPositives = false }, rows)[0]), Is.EqualTo(Math.Log(6)).Within(1e-4));
    }

    [Test]
    public void AFolderOfSomethingElseIsRefusedAndLeftAlone()
    {
        TrainingOptions options = new() { BatchSize = 2, TrainGroupSize = 2, MaxSteps = 2, SaveSteps = 1 };
        Directory.CreateDirectory(Path.Combine(_folder, "mine"));
        File.WriteAllText(Path.Combine(_folder, "mine", "notes.txt"), "keep");
        Assert.That(() => Train("mine", options), Throws.InstanceOf<InputException>().With.Message.Contains("not empty"));
        Train("done", options);
        Assert.That(() => Train("done", options), Throws.InstanceOf<InputException>().With.Message.Contains("--resume"));
        Assert.That(() => Train("done", options with { Seed = 7 }, resume: true), Throws.InstanceOf<InputException>().With.Message.Contains("seed 42"));
        Assert.That(File.ReadAllText(Path.Combine(_folder, "mine", "notes.txt")), Is.EqualTo("keep"));
    }

    [Test]
    public void ALossThatIsNotFiniteStopsTheRun()
    {
        TrainingOptions options = new() { BatchSize = 4, TrainGroupSize = 2, MaxSteps = 50, LearningRate = float.MaxValue, WarmupRatio = 0, MaxGradNorm = 0, SaveSteps = 0 };
        Assert.That(() => Train("nan", options), Throws.InstanceOf<InputException>().With.Message.Contains("step "));
    }

    [Test]
    public void ACollapsedModelStopsTheRun()
    {
        TrainingOptions options = new() { BatchSize = 4, TrainGroupSize = 2, MaxSteps = 10, SaveSteps = 0, LearningRate = 0 };
        // Every text is the same token for this tokenizer, so every vector is the same.
        Assert.That(() => Train("same", options, tokenize: _ => [5, 5]), Throws.InstanceOf<InputException>().With.Message.Contains("one point"));
    }

    private static double Loss(string line) => JsonFields.Parse(System.Text.Encoding.UTF8.GetBytes(line), "log").Number("loss", 0, 1e9);

    private byte[] Bytes(string name) => File.ReadAllBytes(Path.Combine(_folder, name, "weights.safetensors"));

    private string[] Train(string name, TrainingOptions options, TrainingRow[]? rows = null, bool lora = true, bool resume = false, int stopAfter = int.MaxValue, Func<string, int[]>? tokenize = null)
    {
        using CpuBackend backend = new(2);
        using Transformer model = Transformer.CreateRandom(backend, ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(Config), "config"), seed: 5);
        if (lora) LoraWeights.Attach(backend, model, new AdapterConfig { R = 4, LoraAlpha = 16, LoraDropout = 0.1, TargetPattern = AdapterConfig.AllLinear }, seed: 5);
        tokenize ??= text => [.. text.Select(c => c & 127)];
        IReadOnlyList<Parameter> trained = lora ? model.LoraParameters : model.Parameters;
        using ContrastiveTask task = new(backend, model,
            new ContrastiveOptions(Pooling.Last, Normalize: true, Temperature: 0.1f, options.BatchTokens, options.GradientCheckpointing), options.MaskKnownPositives,
            examples => [.. examples.Select(example => tokenize(example.Query))], passages => [.. passages.Select(p => tokenize(p.Text))]);
        TrainingJob job = new()
        {
            Data = rows ?? [.. Enumerable.Range(0, 10).Select(i => new TrainingRow($"q{i}", $"{(char)('a' + i)}{i}", [new Document($"p{i}", "", $"{i}{(char)('a' + i)}x")],
                [new Document($"n{i}", "", $"{(char)('b' + i)}{i}"), new Document($"m{i}", "", $"zz{i}")]))],
            Trained = trained,
            Task = task,
            Options = options,
            OutputFolder = Path.Combine(_folder, name),
            Identity = new Dictionary<string, string> { ["model"] = "tiny" },
            SaveWeights = folder => SafeTensorsWriter.Write(Path.Combine(folder, "weights.safetensors"), [.. trained.Select(p => TensorSource.FromTensor(p.Name, backend, p.Value, DType.F32))]),
        };
        using CancellationTokenSource stop = new();
        Progress progress = new(stop, stopAfter);
        new Trainer(backend, job).Run(resume, progress, stop.Token);
        return File.ReadAllLines(Path.Combine(_folder, name, "log.jsonl"));
    }

    private sealed class Progress(CancellationTokenSource stop, int after) : IProgress<ProgressUpdate>
    {
        public void Report(ProgressUpdate value)
        {
            if (value.Done >= after) stop.Cancel();
        }
    }
}
