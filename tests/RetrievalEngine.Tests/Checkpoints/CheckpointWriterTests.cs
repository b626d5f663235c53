using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Checkpoints;

internal sealed class CheckpointWriterTests
{
    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [TestCase("qwen1.5", DType.F16)]
    [TestCase("llama3", DType.BF16)]
    public void Write_OfWhatWasRead_GivesTheSameFile(string family, DType dtype)
    {
        string source = SharedFolder.Require("goldens/models/" + family), target = _folder.File("copy");
        using Checkpoint checkpoint = Checkpoint.Open(source);
        ModelConfig config = ModelConfig.Load(source);
        CheckpointWriter.Write(target, config.ToJson(dtype),
            [.. checkpoint.Tensors.Select(t => TensorSource.FromFile(t.Name, checkpoint.FileOf(t.Name), t.Name, dtype))]);
        Assert.Multiple(() =>
        {
            Assert.That(File.ReadAllBytes(Path.Combine(target, Checkpoint.SingleFile)),
                Is.EqualTo(File.ReadAllBytes(Path.Combine(source, Checkpoint.SingleFile))));
            Assert.That(JsonNode.DeepEquals(JsonNode.Parse(ModelConfig.Load(target).Json), JsonNode.Parse(config.Json)));
            Assert.That(Directory.GetFiles(target), Has.Length.EqualTo(2));
        });
    }

    [Test]
    public void Write_SmallShards_AreFoundThroughTheIndex()
    {
        TensorSource[] tensors = [.. Enumerable.Range(0, 10)
            .Select(i => TensorSource.FromFloat32($"t{i}", new Shape(i + 1), Enumerable.Repeat((float)i, i + 1).ToArray()))];
        CheckpointWriter.Write(_folder.Path, "{}", tensors, maxShardBytes: 64);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        JsonNode index = JsonNode.Parse(File.ReadAllText(_folder.File(Checkpoint.IndexFile)))!;
        Assert.Multiple(() =>
        {
            Assert.That(checkpoint.Paths.Select(Path.GetFileName).First(), Is.EqualTo("model-00001-of-00005.safetensors"));
            Assert.That(checkpoint.Paths.Count(), Is.EqualTo(5));
            Assert.That(checkpoint.Paths.Max(path => checkpoint.Tensors.Where(t => checkpoint.FileOf(t.Name).Path == path).Sum(t => t.Bytes)),
                Is.LessThanOrEqualTo(64));
            Assert.That((long)index["metadata"]!["total_size"]!, Is.EqualTo(55 * 4));
            for (int i = 0; i < 10; i++) Assert.That(checkpoint.ReadFloat32($"t{i}"), Is.EqualTo(Enumerable.Repeat((float)i, i + 1)));
        });
    }

    [Test]
    public void Write_FolderWithWeights_IsRefused()
    {
        TensorSource[] tensors = [TensorSource.FromFloat32("a", new Shape(1), new float[1])];
        CheckpointWriter.Write(_folder.Path, "{}", tensors);
        Assert.That(() => CheckpointWriter.Write(_folder.Path, "{}", tensors),
            Throws.TypeOf<InputException>().With.Message.Contains("holds weights already"));
    }
}
