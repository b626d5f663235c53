using System;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Checkpoints;

internal sealed class CheckpointTests
{
    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public void Open_Sharded_FindsEveryTensor()
    {
        using Checkpoint checkpoint = Checkpoint.Open(SharedFolder.Require("goldens/models/llama2"));
        Assert.Multiple(() =>
        {
            Assert.That(checkpoint.Paths.Count(), Is.EqualTo(7));
            Assert.That(checkpoint.Tensors.Count(), Is.EqualTo(3 * 9 + 2));
            Assert.That(checkpoint.Find("embed_tokens.weight").Shape, Is.EqualTo(new Shape(320, 64)));
            Assert.That(checkpoint.ReadFloat32("layers.2.mlp.down_proj.weight"), Has.Length.EqualTo(64 * 172));
        });
    }

    [TestCase("causal-lm-prefix", "qwen1.5", 0)]
    [TestCase("causal-lm-head", "llama2", 1)]
    [TestCase("bert-legacy-names", "bert", 3)]
    public void Names_OfVariants_GiveTheModelTheyComeFrom(string variant, string model, int others)
    {
        using Checkpoint expected = Checkpoint.Open(SharedFolder.Require("goldens/models/" + model));
        using Checkpoint checkpoint = Checkpoint.Open(SharedFolder.Require("goldens/variants/" + variant));
        foreach (string name in expected.Names.Canonical)
        {
            float[] values = checkpoint.ReadFloat32(checkpoint.Names.StoredName(name));
            Assert.That(values.AsSpan().SequenceEqual(expected.ReadFloat32(expected.Names.StoredName(name))), name);
        }

        Assert.That(checkpoint.Names.Canonical, Has.Count.EqualTo(expected.Names.Canonical.Count + others));
    }

    [Test]
    public void Names_TwoForOneWeight_IsRefused() =>
        Assert.That(() => CheckpointNames.Create("folder", ["norm.weight", "model.norm.weight"]),
            Throws.TypeOf<InputException>().With.Message.Contains("the same weight"));

    [TestCase("pytorch-bin", "phi1.5")]
    [TestCase("pytorch-bin-sharded", "gemma")]
    public void Open_TorchFiles_GiveTheModelTheyComeFrom(string variant, string model)
    {
        using Checkpoint expected = Checkpoint.Open(SharedFolder.Require("goldens/models/" + model));
        using Checkpoint checkpoint = Checkpoint.Open(SharedFolder.Require("goldens/variants/" + variant));
        Assert.That(checkpoint.Names.Canonical, Is.EquivalentTo(expected.Names.Canonical));
        foreach (string name in expected.Names.Canonical) Assert.That(checkpoint.ReadFloat32(name).AsSpan().SequenceEqual(expected.ReadFloat32(name)), name);
    }

    [Test]
    public void Open_WithoutWeights_SaysWhatIsNeeded() => Assert.Multiple(() =>
    {
        Assert.That(() => Checkpoint.Open(_folder.File("absent")), Throws.TypeOf<InputException>().With.Message.Contains("no such folder"));
        Assert.That(() => Checkpoint.Open(_folder.Path), Throws.TypeOf<InputException>().With.Message.Contains("none of model.safetensors, "));
    });

    [TestCase(DType.F32)]
    [TestCase(DType.F16)]
    [TestCase(DType.BF16)]
    public void IsFinite_FindsOneBadValueAnywhere(DType dtype)
    {
        foreach (int at in (int[])[0, 15, 16, 40, 66])
        {
            foreach (float bad in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
            {
                float[] values = new float[67];
                values[(at + 1) % values.Length] = 65504;
                string path = _folder.File($"{dtype}-{at}-{bad.GetHashCode()}.safetensors");
                SafeTensorsWriter.Write(path, [TensorSource.FromFloat32("good", new Shape(67), values.ToArray(), dtype)]);
                using (SafeTensorsFile file = SafeTensorsFile.Open(path)) Assert.That(file.IsFinite("good"));
                values[at] = bad;
                SafeTensorsWriter.Write(path, [TensorSource.FromFloat32("bad", new Shape(67), values, dtype)]);
                using (SafeTensorsFile file = SafeTensorsFile.Open(path)) Assert.That(file.IsFinite("bad"), Is.False);
            }
        }
    }

    [TestCase("""{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}""", "shard 2.safetensors is missing")]
    [TestCase("""{"weight_map":{"a":"1.safetensors","c":"1.safetensors"}}""", "tensor \"c\" is not in 1.safetensors")]
    [TestCase("""{"weight_map":{"a":"../1.safetensors"}}""", "no file of the folder")]
    [TestCase("""{"weight_map":{"a":".."}}""", "no file of the folder")]
    [TestCase("""{"weight_map":{"a":1}}""", "must be a string")]
    [TestCase("""{"metadata":{}}""", "\"weight_map\" is missing")]
    [TestCase("""{"weight_map":{"a":"1.safetensors","a":"1.safetensors"}}""", "not valid JSON")]
    [TestCase("""[""", "not valid JSON")]
    public void Open_BadIndex_IsRefused(string index, string reason)
    {
        SafeTensorsWriter.Write(_folder.File("1.safetensors"), [TensorSource.FromFloat32("a", new Shape(1), new float[1])]);
        _folder.Write(Checkpoint.IndexFile, index);
        Assert.That(() => Checkpoint.Open(_folder.Path), Throws.TypeOf<InputException>().With.Message.Contains(reason));
    }

    [Test]
    public void Open_DamagedIndex_NeverThrowsAnythingElse()
    {
        SafeTensorsWriter.Write(_folder.File("1.safetensors"), [TensorSource.FromFloat32("a", new Shape(1), new float[1]),
            TensorSource.FromFloat32("b", new Shape(1), new float[1])]);
        string index = _folder.File(Checkpoint.IndexFile);
        Fuzz.Run([.. """{"metadata":{"total_size":8},"weight_map":{"a":"1.safetensors","b":"1.safetensors"}}"""u8], bytes =>
        {
            File.WriteAllBytes(index, bytes);
            Checkpoint.Open(_folder.Path).Dispose();
        });
    }
}
