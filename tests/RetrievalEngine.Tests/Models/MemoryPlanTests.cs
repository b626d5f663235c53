using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Models;
using RetrievalEngine.TestKit;
using RetrievalEngine.Training;

namespace RetrievalEngine.Tests.Models;

/// <summary>The plan against what is really allocated.</summary>
[TestFixture]
internal sealed class MemoryPlanTests
{
    private static readonly AdapterConfig s_lora = new() { R = 3, LoraAlpha = 6, TargetPattern = AdapterConfig.AllLinear };

    [TestCase(true)]
    [TestCase(false)]
    public void Weights_adapters_and_moments_are_exact(bool decoder)
    {
        using TempFolder folder = new();
        string path = decoder ? TinyModel.WriteDecoder(folder.File("model")) : TinyModel.WriteEncoder(folder.File("model"));
        using CpuBackend backend = new(1);
        using Transformer model = Transformer.Load(backend, path);
        LoraWeights.Attach(backend, model, s_lora, seed: 1);
        long weights = model.Parameters.Sum(p => p.Value.Bytes), adapters = model.LoraParameters.Sum(p => p.Value.Bytes);
        long live = DeviceMemory.LiveBytes;

        MemoryPlan encoding = MemoryPlan.Of(backend, path, adapter: null, tokens: 100);
        Assert.That((encoding.Weights, encoding.Adapters, encoding.Training), Is.EqualTo((weights, 0L, 0L)));
        MemoryPlan lora = MemoryPlan.Of(backend, path, s_lora, tokens: 100, keptTokens: 1000);
        Assert.That((lora.Weights, lora.Adapters), Is.EqualTo((weights, adapters)));
        using (ParameterBlock block = new(backend, model.LoraParameters)) Assert.That(lora.Training, Is.EqualTo(16 * block.Count));
        MemoryPlan full = MemoryPlan.Of(backend, path, adapter: null, tokens: 100, keptTokens: 1000);
        using (ParameterBlock block = new(backend, model.Parameters)) Assert.That(full.Training, Is.EqualTo(16 * block.Count));
        Assert.That(DeviceMemory.LiveBytes, Is.EqualTo(live), "a plan takes nothing");
    }

    [Test]
    public void Activations_are_near_what_a_step_takes([Values] bool decoder, [Values] bool checkpointing)
    {
        const int Queries = 100, Texts = 300, Length = 50, Chunk = 4000;
        using TempFolder folder = new();
        string path = decoder ? TinyModel.WriteDecoder(folder.File("model")) : TinyModel.WriteEncoder(folder.File("model"));
        using CpuBackend backend = new(1);
        using Transformer model = Transformer.Load(backend, path);
        using ParameterBlock block = new(backend, model.Parameters);
        long before = DeviceMemory.LiveBytes;
        using ContrastiveStep step = new(backend, model, new ContrastiveOptions(Pooling.Mean, Normalize: true, Temperature: 0.1f, Chunk, checkpointing));
        List<int[]> texts = [.. Enumerable.Range(0, Texts).Select(i => Enumerable.Range(0, Length).Select(t => 5 + (i + t) % 30).ToArray())];
        // The second step begins with one block of what a step needs.
        for (int i = 0; i < 2; i++)
            step.Run(texts[..Queries], texts[Queries..], [.. Enumerable.Range(0, Queries)], excluded: [], seed: 0);
        long taken = DeviceMemory.LiveBytes - before;
        long planned = MemoryPlan.Of(backend, path, adapter: null, Chunk, Texts * Length, checkpointing).Activations;
        Assert.That((double)planned / taken, Is.InRange(0.75, 1.5), $"planned {planned}, taken {taken}");
    }

    [Test]
    public void What_cannot_fit_is_refused_with_the_numbers()
    {
        MemoryPlan plan = new() { Weights = 13_500_000_000, Adapters = 160_000_000, Training = 640_000_000, Activations = 3_000_000_000, Index = 72_000_000 };
        Assert.That(plan.Describe(20_000_000_000), Is.EqualTo(
            "weights 13.5 GB, adapters 0.2 GB, gradients and moments 0.6 GB, index 0.072 GB, activations up to 3.0 GB; 17.4 of 20.0 GB free"));
        Assert.That(() => plan.Require(14_300_000_000, "the GPU"), Throws.Nothing, "texts may be shorter than they can be, an index on the host");
        Assert.That(() => plan.Require(14_290_000_000, "the GPU"), Throws.InstanceOf<InputException>()
            .With.Message.StartsWith("the GPU has not enough memory: weights 13.5 GB, ").And.Message.EndsWith("; 17.4 of 14.3 GB free"));
    }
}
