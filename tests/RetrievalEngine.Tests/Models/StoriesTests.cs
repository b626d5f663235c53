using System;
using System.IO;
using System.Linq;
using System.Text.Json;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Models;
using RetrievalEngine.TestKit;
using RetrievalEngine.Text;

namespace RetrievalEngine.Tests.Models;

/// <summary>A real pretrained Llama of 260K parameters: hidden states as llama2.c computes them.</summary>
[TestFixture]
internal sealed class StoriesTests
{
    [Test]
    public void HiddenStatesAreThoseOfLlama2C()
    {
        string folder = SharedFolder.Require("data/models/stories260K");
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "golden_forward.json")));
        using CpuBackend backend = new(2);
        using Transformer model = Transformer.Load(backend, Path.Combine(folder, "hf"));
        using Arena arena = new(backend);
        JsonElement[] texts = [.. golden.RootElement.EnumerateArray()];
        PackedBatch batch = PackedBatch.Pack([.. texts.Select(text => text.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToArray())]);
        float[] actual = backend.ToArray(model.Forward(batch, arena));
        float[] expected = [.. texts.SelectMany(text => text.GetProperty("hidden").EnumerateArray()).SelectMany(row => row.EnumerateArray()).Select(value => value.GetSingle())];
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        double worst = 0, largest = 0;
        for (int b = 0; b < batch.Sequences; b++)
        {
            double difference = 0, norm = 0;
            for (int i = batch.CuSeqLens[b] * model.HiddenSize; i < batch.CuSeqLens[b + 1] * model.HiddenSize; i++)
            {
                difference += Math.Pow(actual[i] - expected[i], 2);
                norm += Math.Pow(expected[i], 2);
                largest = Math.Max(largest, Math.Abs(actual[i] - expected[i]));
            }

            worst = Math.Max(worst, Math.Sqrt(difference / norm));
        }

        // Relative, because values reach 17: llama2.c itself is up to 9.9e-6 away from the same computation in double precision.
        TestContext.Out.WriteLine($"{texts.Length} texts, largest relative L2 {worst:E1}, largest difference of one value {largest:E1}");
        Assert.That(worst, Is.LessThan(1e-5));
    }
}
