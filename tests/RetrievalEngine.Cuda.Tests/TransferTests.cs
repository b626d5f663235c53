using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;
using RetrievalEngine.TestKit;
using RetrievalEngine.Text;
using RetrievalEngine.Training;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>Once warm, a step or a batch takes no memory and crosses between host and device as rarely as can be; counted by the emulated driver.</summary>
[TestFixture]
internal sealed class TransferTests
{
    private const int WarmUp = 3, Last = 10;
    private string _folder = null!;
    private CudaBackend _backend = null!;

    [OneTimeSetUp]
    public void Create()
    {
        if (CudaLibrary.Missing is { } reason) CiGate.SkipOrFail(reason);
        if (!CudaLibrary.IsEmulated) Assert.Ignore("only the emulated driver counts its calls");
        _folder = Directory.CreateTempSubdirectory().FullName;
        Assert.That(CudaBackend.TryCreate(0, DType.BF16, out CudaBackend? backend, out string why), why);
        _backend = backend!;
    }

    [OneTimeTearDown]
    public void Dispose()
    {
        _backend?.Dispose();
        if (_folder is not null) Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A step: all chunks of the batch, targets and mask go up together; loss, vectors and the gradients' norm come down together.</summary>
    [TestCase(true)]
    [TestCase(false)]
    public void Training(bool lora)
    {
        using Transformer model = Transformer.Load(_backend, TinyModel.WriteEncoder(Path.Combine(_folder, $"training-{lora}")), exact: !lora);
        AdapterConfig adapters = new() { R = 4, LoraAlpha = 8, LoraDropout = 0.1, TargetPattern = AdapterConfig.AllLinear };
        if (lora) LoraWeights.Attach(_backend, model, adapters, seed: 1);
        using ParameterBlock block = new(_backend, lora ? model.LoraParameters : model.Parameters);
        using ContrastiveStep step = new(_backend, model, new ContrastiveOptions(Pooling.Mean, Normalize: true, Temperature: 0.05f, BatchTokens: 64));
        Random random = new(1);
        sbyte[] mask = new sbyte[2 * 4];
        mask[3] = 1;
        DriverTransfers before = default;
        for (int i = 1; i <= Last; i++)
        {
            // The first has the longest texts.
            int longest = i == 1 ? 32 : 20;
            Finish(block, i, step.Begin(Texts(random, 2, longest), Texts(random, 4, longest), [0, 2], mask, seed: (ulong)i));
            if (i == WarmUp) before = DriverTransfers.Read();
        }

        CheckTransfers(before);
    }

    /// <summary>The same of a reranker, whose groups differ in size.</summary>
    [Test]
    public void TrainingOfAReranker()
    {
        using Transformer model = Transformer.LoadReranker(_backend, TinyModel.WriteEncoder(Path.Combine(_folder, "reranker")), seed: 1, exact: true);
        using ParameterBlock block = new(_backend, model.Parameters);
        using RerankingStep step = new(_backend, model, batchTokens: 64);
        Random random = new(1);
        DriverTransfers before = default;
        for (int i = 1; i <= Last; i++)
        {
            TokenPair[] pairs = [.. Texts(random, 8, i == 1 ? 32 : 20).Select(ids => new TokenPair(ids, new int[ids.Length]))];
            Finish(block, i, step.Begin(pairs, [2, 3, 3], seed: (ulong)i));
            if (i == WarmUp) before = DriverTransfers.Read();
        }

        CheckTransfers(before);
    }

    /// <summary>A batch of texts to be encoded goes up once, its vectors come down once.</summary>
    [Test]
    public void Encoding()
    {
        using Transformer model = Transformer.Load(_backend, TinyModel.WriteDecoder(Path.Combine(_folder, "encoding")));
        using Arena arena = new(_backend);
        Random random = new(1);
        DriverTransfers before = default;
        for (int i = 1; i <= Last; i++)
        {
            arena.Reset();
            float[] vectors = _backend.ToArray(model.ForwardPooled(PackedBatch.Pack(Texts(random, 4, i == 1 ? 32 : 20)), Pooling.Last, arena));
            Assert.That(vectors, Has.All.Matches<float>(float.IsFinite));
            if (i == WarmUp) before = DriverTransfers.Read();
        }

        CheckTransfers(before);
    }

    /// <summary>What the trainer does with a step: AdamW, then the report and the norm in one copy.</summary>
    private void Finish<T>(ParameterBlock block, int step, Pending<T> pending)
    {
        block.Step(new AdamW(1e-3f, Step: step, MaxGradNorm: 1), pending.Spare);
        Assert.That(_backend.ToArray(pending.Report)[^1], Is.GreaterThan(0));
        block.ZeroGradients();
    }

    private static void CheckTransfers(DriverTransfers before)
    {
        DriverTransfers warm = DriverTransfers.Read().Since(before);
        Assert.That((warm.Allocations, warm.Uploads, warm.Downloads), Is.EqualTo((0ul, (ulong)(Last - WarmUp), (ulong)(Last - WarmUp))));
    }

    private static List<int[]> Texts(Random random, int count, int length) =>
        [.. Enumerable.Range(0, count).Select(_ => (int[])[.. Enumerable.Range(0, length).Select(_ => random.Next(4, 80))])];
}
