using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Models;
using RetrievalEngine.Text;
using RetrievalEngine.Training;

namespace RetrievalEngine.Tests.Models;

/// <summary>Score heads of every kind on tiny random backbones: gradients by finite differences, and what a folder without a head may be used for.</summary>
[TestFixture]
internal sealed class ScoreHeadTests
{
    private const string Common = """
        "vocab_size": 50, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.3
        """;

    private static readonly Dictionary<string, string> s_configs = new()
    {
        ["llama"] = $$"""{"model_type": "llama", {{Common}}, "max_position_embeddings": 64}""",
        ["gemma2"] = $$"""{"model_type": "gemma2", {{Common}}, "num_key_value_heads": 1, "head_dim": 8, "sliding_window": 5, "max_position_embeddings": 64}""",
        ["bert"] = $$"""{"model_type": "bert", {{Common}}, "max_position_embeddings": 64}""",
        ["roberta"] = $$"""{"model_type": "roberta", {{Common}}, "max_position_embeddings": 66, "type_vocab_size": 1, "pad_token_id": 1}""",
        ["modernbert"] = $$"""{"model_type": "modernbert", {{Common}}, "max_position_embeddings": 64, "classifier_pooling": "mean", "classifier_bias": true, "norm_bias": true}""",
    };

    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public void Gradients_AreFiniteDifferencesOfTheLoss([Values("llama", "bert", "roberta", "modernbert")] string family)
    {
        using CpuBackend backend = new(1);
        using Transformer model = Transformer.LoadReranker(backend, Write(backend, family), seed: 3, exact: true);
        int types = model.Config.TypeVocabSize > 1 ? 2 : 1;
        Random random = new(7);
        // Groups of different sizes: the shorter is filled up with what is no candidate.
        TokenPair[] pairs = [.. Enumerable.Range(0, 5).Select(_ => new TokenPair(Random(random, 4, 8, 3, 50), []))];
        pairs = [.. pairs.Select(p => new TokenPair(p.Ids, [.. p.Ids.Select(_ => random.Next(types))]))];
        int[] groups = [3, 2];
        using ParameterBlock block = new(backend, model.Parameters);
        using RerankingStep step = new(backend, model, batchTokens: 11);
        step.Run(pairs, groups, seed: 0);
        (Parameter Parameter, float[] Gradient)[] gradients = [.. block.Parameters.Select(p => (p, backend.ToArray(p.Gradient)))];
        // The last bias moves all scores alike.
        Assert.That(model.Head!.Parameters.Select(p => p.Name).Where(name => name is not ("classifier.bias" or "classifier.out_proj.bias")), Is.SubsetOf(gradients.Where(g => g.Gradient.Any(x => x != 0)).Select(g => g.Parameter.Name)));
        foreach ((Parameter parameter, float[] gradient) in gradients.Where(g => model.Head.Parameters.Contains(g.Parameter) || g.Parameter.Name.Contains("layer", StringComparison.Ordinal)))
        {
            float[] values = backend.ToArray(parameter.Value);
            for (int sample = 0; sample < 2; sample++)
            {
                int i = random.Next(values.Length);
                double slope = (Loss(i, 4e-3f) - Loss(i, -4e-3f)) / 8e-3;
                Assert.That(gradient[i], Is.EqualTo(slope).Within(2e-3), $"{parameter.Name}[{i}]");
            }

            double Loss(int i, float distance)
            {
                float[] moved = [.. values];
                moved[i] += distance;
                backend.Upload<float>(moved, parameter.Value);
                float loss = step.Run(pairs, groups, seed: 0).Loss;
                backend.Upload<float>(values, parameter.Value);
                return loss;
            }
        }
    }

    [Test]
    public void SharedPrefixes_GiveTheSameScores([Values("llama", "gemma2")] string family)
    {
        using CpuBackend backend = new(2);
        using Transformer model = Transformer.LoadReranker(backend, Write(backend, family), seed: 3);
        Random random = new(1);
        List<int[]> groups(int prefix, int count) // the prefix, then own tokens
        {
            int[] common = Random(random, prefix, prefix, 3, 50);
            return [.. Enumerable.Range(0, count).Select(_ => (int[])[.. common, .. Random(random, 1, 12, 3, 50)])];
        }

        List<int[]>[] all = [groups(9, 4), groups(3, 1), groups(0, 3), groups(5, 2)];
        // One text is another's beginning, and one comes twice: both keep a token of their own.
        all[0].Add(all[0][0][..9]);
        all[3].Add(all[3][0]);
        using Arena arena = new(backend);
        float[] plain = backend.ToArray(model.Score(PackedBatch.Pack([.. all.SelectMany(g => g)]), arena));
        arena.Reset();
        PackedBatch batch = SharedPrefixes.Pack(all, out int[] ends);
        float[] pieces = backend.ToArray(model.Score(batch, arena));
        Assert.That(batch.Tokens, Is.LessThan(all.Sum(g => g.Sum(s => s.Length))));
        Assert.That(ends.Select(end => pieces[end]), Is.EqualTo(plain));
        Assert.That(plain.Distinct().Count(), Is.GreaterThan(plain.Length / 2));
    }

    [Test]
    public void AFolderWithoutAHead_IsNoRerankerUnlessItIsToBeTrained()
    {
        using CpuBackend backend = new(1);
        string folder = Write(backend, "llama");
        Assert.That(() => Transformer.LoadReranker(backend, folder), Throws.InstanceOf<InputException>().With.Message.Contains("no reranker"));
        using Transformer model = Transformer.LoadReranker(backend, folder, seed: 1), same = Transformer.LoadReranker(backend, folder, seed: 1), other = Transformer.LoadReranker(backend, folder, seed: 2);
        Assert.That(model.Head!.Fresh, Is.EqualTo(new[] { "score.weight" }));
        Assert.That(Score(same), Is.EqualTo(Score(model)));
        Assert.That(Score(other), Is.Not.EqualTo(Score(model)));

        float[] Score(Transformer of) => backend.ToArray(of.Head!.Parameters[0].Value);
    }

    [Test]
    public void SeveralLabelsAndOtherFamilies_AreRefused()
    {
        using CpuBackend backend = new(1);
        string folder = Write(backend, "bert");
        string config = File.ReadAllText(Path.Combine(folder, "config.json"));
        File.WriteAllText(Path.Combine(folder, "config.json"), config.Replace("{", """{"architectures": ["BertForSequenceClassification"], "num_labels": 3,""", StringComparison.Ordinal));
        Assert.That(() => Transformer.LoadReranker(backend, folder, seed: 1), Throws.InstanceOf<InputException>().With.Message.Contains("3 classes"));
        File.WriteAllText(Path.Combine(folder, "config.json"), """{"model_type": "t5", "d_model": 8, "d_ff": 8, "num_layers": 1, "num_heads": 1, "vocab_size": 9}""");
        Assert.That(() => Transformer.LoadReranker(backend, folder, seed: 1), Throws.InstanceOf<InputException>().With.Message.Contains("score head"));
    }

    private static int[] Random(Random random, int least, int most, int from, int to) => [.. Enumerable.Range(0, random.Next(least, most + 1)).Select(_ => random.Next(from, to))];

    /// <summary>A checkpoint of the backbone alone.</summary>
    private string Write(IBackend backend, string family)
    {
        ModelConfig config = ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(s_configs[family]), "config.json");
        using Transformer model = Transformer.CreateRandom(backend, config, seed: 5);
        CheckpointWriter.Write(_folder.Path, config.ToJson(DType.F32), [.. model.Parameters.Select(p => TensorSource.FromTensor(p.Name, backend, p.Value, DType.F32))]);
        return _folder.Path;
    }
}
