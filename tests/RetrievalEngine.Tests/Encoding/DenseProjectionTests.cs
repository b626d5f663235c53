using System;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Models;
using RetrievalEngine.Text;
using RetrievalEngine.Training;

namespace RetrievalEngine.Tests.Encoding;

/// <summary>Dense modules of a sentence-transformers folder: the vectors, the gradients, what is written, what is refused.</summary>
[TestFixture]
internal sealed class DenseProjectionTests
{
    private const int Hidden = 16;

    private const string Config = """
        {"model_type":"llama","architectures":["LlamaModel"],"hidden_size":16,"intermediate_size":24,"num_hidden_layers":1,"num_attention_heads":2,"vocab_size":2048,
         "max_position_embeddings":64,"rms_norm_eps":1e-6,"initializer_range":0.3,"eos_token_id":0}
        """;

    private static readonly DenseModule[] s_modules = [new("2_Dense", Hidden, 9, Bias: true, Activation.Tanh), new("3_Dense", 9, 6, Bias: false, Activation.None)];
    private static readonly string[] s_texts = ["a b c", "one", "some longer text of several words"];
    private readonly string _tokenizer = Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "tokenizers", "gpt2");
    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public void Vectors_PassThroughTheModules_ThenAreNormalised()
    {
        using CpuBackend backend = new(1);
        float[] pooled = Encode(backend, Write(backend, "plain", []), new ContractOverrides { Normalize = false });
        string folder = Write(backend, "dense", s_modules);
        Assert.That(EncodingContract.For(folder).Dimensions, Is.EqualTo(6));
        float[] vectors = Encode(backend, folder);
        for (int text = 0; text < s_texts.Length; text++)
        {
            double[] x = [.. pooled.Skip(text * Hidden).Take(Hidden).Select(v => (double)v)];
            foreach (DenseModule module in s_modules)
            {
                double[] y = new double[module.Outputs];
                for (int o = 0; o < y.Length; o++)
                {
                    y[o] = module.Bias ? Bias(module)[o] : 0;
                    for (int i = 0; i < x.Length; i++) y[o] += (double)Weight(module)[(o * x.Length) + i] * x[i];
                    if (module.Activation == Activation.Tanh) y[o] = Math.Tanh(y[o]);
                }

                x = y;
            }

            double norm = Math.Sqrt(x.Sum(v => v * v));
            for (int i = 0; i < x.Length; i++) Assert.That(vectors[(text * x.Length) + i], Is.EqualTo(x[i] / norm).Within(1e-5));
        }
    }

    [Test]
    public void Dimensions_AreCutBehindTheModules()
    {
        using CpuBackend backend = new(1);
        string folder = Write(backend, "dense", s_modules);
        float[] whole = Encode(backend, folder, new ContractOverrides { Normalize = false });
        float[] cut = Encode(backend, folder, new ContractOverrides { Normalize = false, Dimensions = 4 });
        Assert.That(cut, Is.EqualTo(whole.Chunk(6).SelectMany(row => row.Take(4))));
    }

    [Test]
    public void Gradients_AreFiniteDifferencesOfTheLoss()
    {
        using CpuBackend backend = new(1);
        using Transformer model = Transformer.Load(backend, Write(backend, "dense", s_modules), exact: true);
        int[][] queries = [[1, 2, 3], [4, 5]], passages = [[6, 7], [8, 9, 10], [11]];
        using ParameterBlock block = new(backend, [.. model.Parameters, .. model.Projection!.Parameters]);
        using ContrastiveStep step = new(backend, model, new ContrastiveOptions(Pooling.Mean, Normalize: true, Temperature: 0.5f, BatchTokens: 6, GradientCheckpointing: false));
        Run();
        foreach (Parameter parameter in (Parameter[])[.. model.Projection.Parameters, model.Parameters[^1]])
        {
            float[] values = backend.ToArray(parameter.Value), gradient = backend.ToArray(parameter.Gradient);
            Assert.That(gradient.Any(x => x != 0), parameter.Name);
            for (int i = 0; i < values.Length; i += 5)
            {
                double slope = (Loss(i, 4e-3f) - Loss(i, -4e-3f)) / 8e-3;
                Assert.That(gradient[i], Is.EqualTo(slope).Within(2e-3), $"{parameter.Name}[{i}]");
            }

            double Loss(int i, float distance)
            {
                float[] moved = [.. values];
                moved[i] += distance;
                backend.Upload<float>(moved, parameter.Value);
                float loss = Run();
                backend.Upload<float>(values, parameter.Value);
                return loss;
            }
        }

        float Run()
        {
            block.ZeroGradients();
            return step.Run(queries, passages, [0, 1], [], seed: 0).Loss;
        }
    }

    [Test]
    public void WrittenAgain_GivesTheSameVectorsAndContract()
    {
        using CpuBackend backend = new(1);
        string folder = Write(backend, "dense", s_modules), again = Path.Combine(_folder.Path, "again");
        using (Transformer model = Transformer.Load(backend, folder, exact: true))
            ModelFolder.Save(backend, model, folder, EncodingContract.For(folder), Tokenizer.Load(folder), again, DType.F32);
        Assert.That(SentenceTransformerFolder.Find(again)!.Dense, Is.EqualTo(s_modules));
        Assert.That(Encode(backend, again), Is.EqualTo(Encode(backend, folder)));
        Assert.That(EncodingContract.For(again).Mismatch(EncodingContract.For(folder), "one", "the other"), Is.Null);
    }

    [TestCase("shape", "has shape")]
    [TestCase("nan", "not a number")]
    [TestCase("missing", "is missing")]
    [TestCase("more", "is none of the module's")]
    public void Load_DamagedWeights_AreNamed(string damage, string reason)
    {
        using CpuBackend backend = new(1);
        string folder = Write(backend, "dense", s_modules);
        DenseModule module = s_modules[1];
        float[] weight = Weight(module);
        if (damage == "nan") weight[3] = float.NaN;
        TensorSource[] tensors =
        [
            TensorSource.FromFloat32(damage == "missing" ? "other" : DenseModule.WeightName, damage == "shape" ? new Shape(9, 6) : new Shape(6, 9), weight),
            .. damage == "more" ? (TensorSource[])[TensorSource.FromFloat32(DenseModule.BiasName, new Shape(6), new float[6])] : [],
        ];
        SafeTensorsWriter.Write(module.WeightsFile(folder), tensors);
        Assert.That(() => Transformer.Load(backend, folder), Throws.TypeOf<InputException>().With.Message.Contains(reason).And.Message.Contains("3_Dense"));
    }

    [TestCase("""{"in_features":16,"out_features":9,"bias":true,"activation_function":"torch.nn.modules.activation.Softsign"}""", "Softsign")]
    [TestCase("""{"in_features":16,"out_features":9,"bias":true,"activation_function":"torch.nn.modules.activation.Tanh","module_input_name":"token_embeddings"}""", "token_embeddings")]
    [TestCase("""{"in_features":15,"out_features":9,"bias":true,"activation_function":"torch.nn.modules.activation.Tanh"}""", "takes 15 elements but is given 16")]
    public void Load_WhatCannotBeDone_IsRefusedByName(string json, string reason)
    {
        using CpuBackend backend = new(1);
        string folder = Write(backend, "dense", s_modules);
        File.WriteAllText(Path.Combine(folder, "2_Dense", "config.json"), json);
        Assert.That(() => Transformer.Load(backend, folder), Throws.TypeOf<InputException>().With.Message.Contains(reason));
    }

    private static float[] Weight(DenseModule module) => [.. Enumerable.Range(0, module.Inputs * module.Outputs).Select(i => 0.3f * MathF.Sin(i + module.Outputs))];

    private static float[] Bias(DenseModule module) => [.. Enumerable.Range(0, module.Outputs).Select(i => 0.1f * i)];

    private static float[] Encode(CpuBackend backend, string folder, ContractOverrides? overrides = null)
    {
        using TextEncoder encoder = TextEncoder.Load(backend, folder, adapterFolder: null, EncodingContract.For(folder, null, overrides));
        return encoder.EncodePassages([.. s_texts.Select((text, i) => new Document($"{i}", "", text))]);
    }

    /// <summary>A tiny random model with mean pooling and <paramref name="modules"/>, as sentence-transformers would leave it.</summary>
    private string Write(CpuBackend backend, string name, DenseModule[] modules)
    {
        string folder = Path.Combine(_folder.Path, name);
        using Transformer model = Transformer.CreateRandom(backend, ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(Config), "config"), seed: 3);
        CheckpointWriter.Write(Directory.CreateDirectory(folder).FullName, model.Config.ToJson(DType.F32), [.. model.Parameters.Select(p => TensorSource.FromTensor(p.Name, backend, p.Value, DType.F32))]);
        foreach (string file in (string[])["tokenizer.json", "tokenizer_config.json"])
        {
            if (File.Exists(Path.Combine(_tokenizer, file))) File.Copy(Path.Combine(_tokenizer, file), Path.Combine(folder, file));
        }

        SentenceTransformerWriter.Write(folder, new SentenceTransformerFolder(Pooling.Mean, true, 32, "", "", false) { Dense = modules }, Hidden);
        foreach (DenseModule module in modules)
        {
            TensorSource weight = TensorSource.FromFloat32(DenseModule.WeightName, new Shape(module.Outputs, module.Inputs), Weight(module));
            TensorSource bias = TensorSource.FromFloat32(DenseModule.BiasName, new Shape(module.Outputs), Bias(module));
            SafeTensorsWriter.Write(module.WeightsFile(folder), module.Bias ? [weight, bias] : [weight]);
        }

        return folder;
    }
}
