using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Models;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Models;

internal sealed class CheckpointWeightsTests
{
    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public void Load_TensorsThatDoNotFit_AreNamedOneByOne()
    {
        Rewrite(tensors =>
        {
            tensors.Remove("norm.weight");
            tensors["layers.0.mlp.up_proj.weight"] = (new Shape(2, 3), new float[6]);
            tensors["layers.1.mlp.up_proj.weight"].Values[5] = float.NaN;
            tensors["layers.2.mlp.up_proj.weight"] = (new Shape(1), new float[1]);
            tensors["surprise"] = (new Shape(1), new float[1]);
            tensors["lm_head.weight"] = (new Shape(1), [float.NaN]);
        });
        Assert.That(Load, Throws.TypeOf<InputException>()
            .With.Message.Contains("do not make a llama model of this configuration")
            .And.Message.Contains("\"norm.weight\" is missing")
            .And.Message.Contains("\"layers.0.mlp.up_proj.weight\" is [2, 3] where [24, 16] is needed")
            .And.Message.Contains("\"layers.1.mlp.up_proj.weight\" has values that are infinite or not a number")
            .And.Message.Contains("\"layers.2.mlp.up_proj.weight\" does not belong to it")
            .And.Message.Contains("\"surprise\" does not belong to it")
            .And.Message.Not.Contains("lm_head"));
    }

    [Test]
    public void Load_ManyProblems_AreCounted()
    {
        Rewrite(tensors =>
        {
            foreach (string name in tensors.Keys.ToArray()) tensors[$"model.x.{name}"] = tensors[name];
            foreach (string name in tensors.Keys.Where(name => !name.StartsWith("model.", StringComparison.Ordinal)).ToArray()) tensors.Remove(name);
        });
        Assert.That(Load, Throws.TypeOf<InputException>().With.Message.Contains("\"embed_tokens.weight\" is missing").And.Message.EndsWith("and 20 more"));
    }

    [Test]
    public void Load_HugeTensorThatIsMissing_IsNotAllocated()
    {
        TinyModel.WriteDecoder(_folder.Path);
        string path = _folder.File(ModelConfig.FileName);
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"vocab_size\": 258", "\"vocab_size\": 268435456", StringComparison.Ordinal));
        Assert.That(Load, Throws.TypeOf<InputException>().With.Message.Contains("\"embed_tokens.weight\" is [258, 16] where [268435456, 16] is needed"));
    }

    private void Load()
    {
        using CpuBackend backend = new(1);
        Transformer.Load(backend, _folder.Path).Dispose();
    }

    private void Rewrite(Action<Dictionary<string, (Shape Shape, float[] Values)>> edit)
    {
        TinyModel.WriteDecoder(_folder.Path);
        Dictionary<string, (Shape Shape, float[] Values)> tensors;
        using (Checkpoint checkpoint = Checkpoint.Open(_folder.Path))
            tensors = checkpoint.Tensors.ToDictionary(t => t.Name, t => (t.Shape, checkpoint.ReadFloat32(t.Name)));
        edit(tensors);
        SafeTensorsWriter.Write(_folder.File(Checkpoint.SingleFile), [.. tensors.Select(t => TensorSource.FromFloat32(t.Key, t.Value.Shape, t.Value.Values))]);
    }
}
