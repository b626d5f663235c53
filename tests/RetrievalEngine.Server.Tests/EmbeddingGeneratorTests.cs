using System;
using System.Linq;
using System.Threading.Tasks;
using Microsoft.Extensions.AI;
using NUnit.Framework;

namespace RetrievalEngine.Server.Tests;

/// <summary>The encoder as Microsoft.Extensions.AI's programs use it.</summary>
internal sealed class EmbeddingGeneratorTests
{
    private ServerFixture _models = null!;
    private EmbeddingGenerator _generator = null!;

    [OneTimeSetUp]
    public async Task SetUp()
    {
        _models = await ServerFixture.StartAsync();
        _generator = new EmbeddingGenerator(_models.Encoder, "tiny");
    }

    [OneTimeTearDown]
    public async Task TearDown()
    {
        _generator.Dispose();
        await _models.DisposeAsync();
    }

    [Test]
    public async Task Vectors_AreThoseOfTheEncoder()
    {
        EmbeddingGenerationOptions options = new() { AdditionalProperties = new() { ["prompt_name"] = "query" } };
        GeneratedEmbeddings<Embedding<float>> made = await _generator.GenerateAsync(["a", "text of b"], options);
        Assert.That(made.SelectMany(embedding => embedding.Vector.ToArray()), Is.EqualTo(_models.Encoder.EncodeQueries(["a", "text of b"])));
        Assert.That((made[0].ModelId, made.Usage!.InputTokenCount > 4), Is.EqualTo(("tiny", true)));
        ReadOnlyMemory<float> cut = await _generator.GenerateVectorAsync("a", new EmbeddingGenerationOptions { Dimensions = 4 });
        Assert.That(cut.Length, Is.EqualTo(4));
        Assert.That(await _generator.GenerateAsync([]), Is.Empty);
    }

    [Test]
    public async Task ManyCallers_AtTheSameTime()
    {
        float[][] alone = [.. Enumerable.Range(0, 40).Select(i => _models.Encoder.EncodeQueries([$"text {i}"]))];
        EmbeddingGenerationOptions options = new() { AdditionalProperties = new() { ["prompt_name"] = "query" } };
        await Parallel.ForAsync(0, 40, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (i, cancellation) =>
            Assert.That((await _generator.GenerateVectorAsync($"text {i}", options, cancellation)).ToArray(), Is.EqualTo(alone[i])));
    }

    [Test]
    public void WhatItIs()
    {
        EmbeddingGeneratorMetadata metadata = _generator.GetRequiredService<EmbeddingGeneratorMetadata>();
        Assert.That((metadata.ProviderName, metadata.DefaultModelId, metadata.DefaultModelDimensions), Is.EqualTo(("retrieval-engine", "tiny", (int?)16)));
        Assert.That(_generator.GetService(typeof(EmbeddingGenerator)), Is.SameAs(_generator));
        Assert.That(_generator.GetService(typeof(string)), Is.Null);
    }

    [Test]
    public void WhatItCannotDo_IsRefused()
    {
        Assert.That(async () => await _generator.GenerateAsync(["a"], new EmbeddingGenerationOptions { Dimensions = 17 }), Throws.TypeOf<InputException>().With.Message.Contains("between 1 and 16"));
        Assert.That(async () => await _generator.GenerateAsync(["a"], new EmbeddingGenerationOptions { ModelId = "gpt" }), Throws.TypeOf<InputException>().With.Message.Contains("no model \"gpt\""));
        Assert.That(async () => await _generator.GenerateAsync(["a"], new EmbeddingGenerationOptions { AdditionalProperties = new() { ["prompt_name"] = "poem" } }), Throws.TypeOf<InputException>().With.Message.Contains("poem"));
        Assert.That(async () => await _generator.GenerateAsync(["a"], new EmbeddingGenerationOptions { AdditionalProperties = new() { ["prompt_name"] = 1 } }), Throws.TypeOf<InputException>());
        EmbeddingGenerator other = new(_models.Encoder, "tiny");
        other.Dispose();
        other.Dispose();
    }
}
