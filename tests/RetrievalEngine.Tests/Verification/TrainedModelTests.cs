using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Cuda;
using RetrievalEngine.Models;
using RetrievalEngine.TestKit;
using RetrievalEngine.Text;
using RetrievalEngine.Training;
using RetrievalEngine.Verification;

namespace RetrievalEngine.Tests.Verification;

/// <summary>
/// A training step of a model that people use (all-MiniLM-L6-v2) on real texts: in bfloat16 on the CUDA backend within the tolerances that
/// <see cref="VerificationTolerances.Gpu"/> asks for, against float32 on the CPU.
/// </summary>
[TestFixture]
internal sealed class TrainedModelTests
{
    private const int Queries = 4, SkippedRows = 8, MaxLength = 32;

    [TestCase(true)]
    [TestCase(false)]
    public void Loss_and_gradients_in_bfloat16(bool lora)
    {
        if (CudaLibrary.Missing is { } reason) Assert.Ignore(reason);
        string folder = SharedFolder.Require("goldens/real/model"), data = SharedFolder.Require("goldens/finetune/train.jsonl");
        (float loss, Dictionary<string, float[]> gradients) = Step(new CpuBackend(2), folder, data, lora);
        if (!CudaBackend.TryCreate(0, DType.BF16, out CudaBackend? cuda, out reason)) Assert.Fail(reason);
        (float roundedLoss, Dictionary<string, float[]> rounded) = Step(cuda!, folder, data, lora);

        VerificationTolerances tolerances = VerificationTolerances.Gpu(DType.BF16);
        Assert.That(Math.Abs(roundedLoss - loss) / loss, Is.LessThan(tolerances.Loss));
        double largest = gradients.Values.Max(g => Distance.Norm(g));
        foreach ((string name, float[] gradient) in gradients)
        {
            bool isZero = name.EndsWith("key.bias", StringComparison.Ordinal);
            double distance = isZero ? Distance.Norm(rounded[name]) / largest : Distance.RelativeL2(rounded[name], gradient);
            Assert.That(distance, Is.LessThan(isZero ? tolerances.ZeroGradients : tolerances.Gradients), name);
        }
    }

    private static (float Loss, Dictionary<string, float[]> Gradients) Step(IBackend backend, string folder, string data, bool lora)
    {
        using IBackend owned = backend;
        Tokenizer tokenizer = Tokenizer.Load(folder);
        List<int[]> queries = [], passages = [];
        foreach (string line in File.ReadLines(data).Skip(SkippedRows).Take(Queries))
        {
            using JsonDocument row = JsonDocument.Parse(line);
            int[] Ids(JsonElement text) => [.. tokenizer.Encode(text.GetString()!, true).Take(MaxLength)];
            queries.Add(Ids(row.RootElement.GetProperty("query")));
            passages.Add(Ids(row.RootElement.GetProperty("positive_passages")[0].GetProperty("text")));
            passages.Add(Ids(row.RootElement.GetProperty("negative_passages")[0].GetProperty("text")));
        }

        using Transformer model = Transformer.Load(backend, folder, exact: !lora);
        if (lora) AttachAdapters(backend, model);
        using ParameterBlock block = new(backend, lora ? model.LoraParameters : model.Parameters);
        using ContrastiveStep step = new(backend, model, new ContrastiveOptions(Pooling.Mean, Normalize: true, Temperature: 0.05f));
        ContrastiveResult result = step.Run(queries, passages, [.. Enumerable.Range(0, Queries).Select(i => 2 * i)], excluded: [], seed: 0);
        return (result.Loss, block.Parameters.ToDictionary(p => p.Name, p => backend.ToArray(p.Gradient)));
    }

    /// <summary>Adapters of rank 8 whose B is not zero, so that A has a gradient.</summary>
    private static void AttachAdapters(IBackend backend, Transformer model)
    {
        LoraWeights.Attach(backend, model, new AdapterConfig { R = 8, LoraAlpha = 16, TargetPattern = AdapterConfig.AllLinear }, seed: 1);
        Random random = new(3);
        foreach (Linear linear in model.Linears)
        {
            Tensor b = linear.Lora!.B.Value;
            backend.Upload<float>([.. Enumerable.Range(0, (int)b.Count).Select(_ => 0.02f * (random.NextSingle() - 0.5f))], b);
        }
    }
}
