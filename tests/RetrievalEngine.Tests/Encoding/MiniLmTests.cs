using System;
using System.IO;
using System.Linq;
using System.Text.Json;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Encoding;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Encoding;

/// <summary>A published encoder (all-MiniLM-L6-v2) against what sentence-transformers gives with it.</summary>
internal sealed class MiniLmTests
{
    private static readonly ContractOverrides s_reference = new() { QueryMaxLength = 256, PassageMaxLength = 256 };

    [Test]
    public void Embeddings_NewerAndOlderLayout_AreThoseOfTheReference()
    {
        string real = SharedFolder.Require("goldens/real"), model = Path.Combine(real, "model");
        using TempFolder folder = new();
        CopyFolder(Path.Combine(real, "older-layout"), folder.File("older"));
        File.Copy(Path.Combine(model, "model.safetensors"), folder.File("older/model.safetensors"));
        string[] texts = JsonSerializer.Deserialize<string[]>(File.ReadAllText(Path.Combine(real, "texts.json")))!;
        using SafeTensorsFile file = SafeTensorsFile.Open(Path.Combine(real, "expected.safetensors"));
        float[] expected = file.ReadFloat32("embeddings");
        using CpuBackend backend = new(2);
        foreach (string path in (string[])[model, folder.File("older")])
        {
            using TextEncoder encoder = TextEncoder.Load(backend, path, null, EncodingContract.For(path));
            Assert.That(encoder.Contract,
                Has.Property("Pooling").EqualTo(Pooling.Mean).And.Property("Normalize").True.And.Property("PassageMaxLength").EqualTo(256));
            float[] vectors = encoder.EncodeQueries(texts);
            Assert.That(vectors.Zip(expected, static (a, b) => Math.Abs(a - b)).Max(), Is.LessThan(1e-4f), path);
        }
    }

    [Test]
    public void Embeddings_AnyBatch_AreTheSame()
    {
        string model = SharedFolder.Require("goldens/real/model");
        string[] texts = JsonSerializer.Deserialize<string[]>(File.ReadAllText(SharedFolder.Require("goldens/real/texts.json")))!;
        using CpuBackend backend = new(2);
        EncodingContract contract = EncodingContract.For(model, null, s_reference);
        using TextEncoder large = TextEncoder.Load(backend, model, null, contract),
            small = TextEncoder.Load(backend, model, null, contract, batchTokens: 1);
        float[] together = large.EncodeQueries(texts), apart = small.EncodeQueries(texts);
        Assert.That(together, Is.EqualTo(apart));
    }

    private static void CopyFolder(string from, string to)
    {
        foreach (string file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }
}
