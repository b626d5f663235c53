using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;

namespace RetrievalEngine.Tests.Encoding;

internal sealed class EmbeddingStoreTests
{
    private static readonly string[] Ids = ["d0", "d\"1", "ü\u2028", "d3", "", "日本", "d6", "a b", "\\", "d9"];

    [TestCase(DType.F32)]
    [TestCase(DType.F16)]
    [TestCase(DType.BF16)]
    public void WriteThenOpen_GivesIdsAndVectors(DType dtype)
    {
        using TempFolder folder = new();
        string path = folder.File("out");
        Write(path, Contracts.Plan(dtype: dtype));
        using EmbeddingStore store = EmbeddingStore.Open(path);
        store.Verify();
        Assert.That(Enumerable.Range(0, 10).Select(r => store.Id(r)), Is.EqualTo(Ids));
        float[] part = new float[7 * 4];
        store.Read(2, part);
        Assert.That(part, Is.EqualTo(Vectors(2, 7)));
        Assert.That(Directory.GetFiles(path).Select(Path.GetFileName), Is.EquivalentTo(new[]
        {
            "manifest.json", "ids-000001-000000.jsonl", "ids-000001-000001.jsonl", "ids-000001-000002.jsonl",
            "vectors-000001-000000.safetensors", "vectors-000001-000001.safetensors", "vectors-000001-000002.safetensors",
        }));
    }

    [Test]
    public void Open_ResumesWhereItStopped_WithTheSameBytes()
    {
        using TempFolder folder = new();
        Write(folder.File("whole"), Contracts.Plan());
        Random random = new(5);
        for (int round = 0; round < 12; round++)
        {
            string path = folder.File($"killed{round}");
            int finished = random.Next(3);
            Write(path, Contracts.Plan(), stopAfter: finished);
            // What a process killed within the next shard or manifest may leave behind.
            Leave(path, $"vectors-000001-00000{finished}.safetensors", random);
            Leave(path, $"vectors-000001-00000{finished}.safetensors.partial", random);
            Leave(path, $"ids-000001-00000{finished}.jsonl.partial", random);
            Leave(path, "manifest.json.partial", random);
            Leave(path, "lock", random);
            using (EmbeddingWriter writer = EmbeddingWriter.Open(path, Contracts.Plan()))
                Assert.That(writer.Manifest.Shards, Has.Count.EqualTo(finished));
            Write(path, Contracts.Plan());
            AssertSameFiles(folder.File("whole"), path);
        }
    }

    [Test]
    public void Open_DamagedShard_IsWrittenAgain()
    {
        using TempFolder folder = new();
        Write(folder.File("whole"), Contracts.Plan());
        Write(folder.File("damaged"), Contracts.Plan(), stopAfter: 2);
        File.WriteAllText(folder.File("damaged/ids-000001-000001.jsonl"), "x");
        using (EmbeddingWriter writer = EmbeddingWriter.Open(folder.File("damaged"), Contracts.Plan()))
            Assert.That(writer.Manifest.Shards, Has.Count.EqualTo(1));
        Write(folder.File("damaged"), Contracts.Plan());
        AssertSameFiles(folder.File("whole"), folder.File("damaged"));
    }

    [Test]
    public void Append_ThatFails_DoesNotCount()
    {
        using TempFolder folder = new();
        string path = folder.File("out");
        using (EmbeddingWriter writer = EmbeddingWriter.Open(path, Contracts.Plan()))
        {
            Assert.Throws<InputException>(() => writer.Append(["a"], (_, _) => throw new IOException("No space left on device"), 0, 0, 0));
        }

        Assert.That(Directory.GetFiles(path).Select(Path.GetFileName), Is.EqualTo(new[] { "manifest.json" }));
        Assert.That(EmbeddingManifest.Load(path).Shards, Is.Empty);
    }

    [Test]
    public void Open_FinishedRun_IsComplete()
    {
        using TempFolder folder = new();
        Write(folder.File("out"), Contracts.Plan());
        using EmbeddingWriter writer = EmbeddingWriter.Open(folder.File("out"), Contracts.Plan());
        Assert.That(writer.Manifest.Complete, Is.True);
        Assert.That(writer.Manifest.Rows, Is.EqualTo(10));
    }

    private static IEnumerable<TestCaseData> OtherPlans()
    {
        EmbeddingManifest p = Contracts.Plan();
        yield return new TestCaseData(
            p with { Contract = p.Contract with { WeightsHash = "w9" } }, "base weights hash is w9 in this run but w0 in that folder");
        yield return new TestCaseData(p with { Source = p.Source with { Hash = "c1" } }, "made from another input");
        yield return new TestCaseData(p with { DType = DType.F16 }, "it stores F32, not F16");
        yield return new TestCaseData(p with { Side = EncodingSide.Query }, "it holds passage vectors, not query vectors");
        yield return new TestCaseData(p with { RowsPerShard = 5 }, "its shards have 4 rows, not 5");
    }

    [TestCaseSource(nameof(OtherPlans))]
    public void Open_AnotherRunsFolder_IsRefusedAndUntouched(EmbeddingManifest plan, string expected)
    {
        using TempFolder folder = new();
        Write(folder.File("out"), Contracts.Plan(), stopAfter: 1);
        string[] before = Snapshot(folder.File("out"));
        Assert.That(() => EmbeddingWriter.Open(folder.File("out"), plan), Throws.TypeOf<InputException>().With.Message.Contains(expected));
        Assert.That(Snapshot(folder.File("out")), Is.EqualTo(before));
    }

    [Test]
    public void Open_FolderWithOtherFiles_IsRefusedAndUntouched()
    {
        using TempFolder folder = new();
        folder.Write("out/notes.txt", "mine");
        Assert.That(() => EmbeddingWriter.Open(folder.File("out"), Contracts.Plan()),
            Throws.TypeOf<InputException>().With.Message.Contains("is not empty"));
        Assert.That(() => EmbeddingWriter.Open(folder.File("out/notes.txt"), Contracts.Plan()),
            Throws.TypeOf<InputException>().With.Message.Contains("is a file"));
        Assert.That(() => EmbeddingWriter.Open(folder.File("out/notes.txt/x"), Contracts.Plan()),
            Throws.TypeOf<InputException>().With.Message.Contains("cannot be written"));
        Assert.That(Directory.GetFileSystemEntries(folder.File("out")), Has.Length.EqualTo(1));
    }

    [Test]
    public void Open_WhileAnotherWrites_IsRefused()
    {
        using TempFolder folder = new();
        using EmbeddingWriter first = EmbeddingWriter.Open(folder.File("out"), Contracts.Plan());
        Assert.That(() => EmbeddingWriter.Open(folder.File("out"), Contracts.Plan()),
            Throws.TypeOf<InputException>().With.Message.Contains("another process"));
    }

    [TestCase("vectors-000001-000001.safetensors")]
    [TestCase("ids-000001-000001.jsonl")]
    public void Open_TruncatedFile_IsNamed(string file)
    {
        using TempFolder folder = new();
        Write(folder.File("out"), Contracts.Plan());
        string path = Path.Combine(folder.File("out"), file);
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..^2]);
        Assert.That(() => EmbeddingStore.Open(folder.File("out")),
            Throws.TypeOf<InputException>().With.Message.Contains(file).And.Message.Contains("truncated"));
    }

    [Test]
    public void Open_MissingFile_IsNamed()
    {
        using TempFolder folder = new();
        Write(folder.File("out"), Contracts.Plan());
        File.Delete(folder.File("out/ids-000001-000002.jsonl"));
        Assert.That(() => EmbeddingStore.Open(folder.File("out")),
            Throws.TypeOf<InputException>().With.Message.Contains("no such file"));
    }

    [Test]
    public void Verify_ChangedByte_IsNamed()
    {
        using TempFolder folder = new();
        Write(folder.File("out"), Contracts.Plan());
        string path = folder.File("out/vectors-000001-000000.safetensors");
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(path, bytes);
        using EmbeddingStore store = EmbeddingStore.Open(folder.File("out"));
        Assert.That(() => store.Verify(), Throws.TypeOf<InputException>().With.Message.Contains("vectors-000001-000000.safetensors: the checksum"));
    }

    [Test]
    public void Open_UnfinishedOrOtherKind_SaysWhatToDo()
    {
        using TempFolder folder = new();
        Write(folder.File("half"), Contracts.Plan(), stopAfter: 1);
        Write(folder.File("whole"), Contracts.Plan());
        Assert.That(() => EmbeddingStore.Open(folder.File("half")),
            Throws.TypeOf<InputException>().With.Message.Contains("unfinished (4 of 10 vectors)"));
        Assert.That(() => EmbeddingStore.Open(folder.File("absent")),
            Throws.TypeOf<InputException>().With.Message.Contains("no such folder"));
        Assert.That(() => EmbeddingStore.Open(folder.Path),
            Throws.TypeOf<InputException>().With.Message.Contains("manifest.json is missing"));
    }

    [TestCase("\"vectors-000001-000000.safetensors\"", "\"../vectors-000001-000000.safetensors\"", "not a file name of this format")]
    [TestCase("\"vectors-000001-000000.safetensors\"", "\"vectors-000001-000000.safetensors/../../x.safetensors\"", "not a file name of this format")]
    [TestCase("\"rows\": 10,", "\"rows\": 11,", "not the sum")]
    [TestCase("\"ids-000001-000001.jsonl\"", "\"ids-000001-000000.jsonl\"", "another shard has")]
    [TestCase("\"rows\": 4,", "\"rows\": 2000000000,", "sum")]
    [TestCase("\"format\": \"retrieval-embeddings\"", "\"format\": \"x\"", "no embeddings")]
    public void Load_LyingManifest_IsRefused(string what, string instead, string expected)
    {
        using TempFolder folder = new();
        Write(folder.File("out"), Contracts.Plan());
        string path = folder.File("out/manifest.json"), text = File.ReadAllText(path);
        Assert.That(text, Does.Contain(what));
        File.WriteAllText(path, text.Replace(what, instead, StringComparison.Ordinal));
        Assert.That(() => EmbeddingManifest.Load(folder.File("out")), Throws.TypeOf<InputException>().With.Message.Contains(expected));
    }

    [Test]
    public void IdFile_AbsurdNumberOfRows_IsRefusedBeforeItIsAllocated()
    {
        using TempFolder folder = new();
        Assert.That(() => IdFile.Open(folder.Write("ids", "\"a\"\n"), int.MaxValue),
            Throws.TypeOf<InputException>().With.Message.Contains("truncated"));
    }

    [TestCase("manifest.json")]
    [TestCase("vectors-000001-000000.safetensors")]
    [TestCase("ids-000001-000000.jsonl")]
    public void Open_DamagedFile_IsRefusedInASentence(string file)
    {
        using TempFolder folder = new();
        Write(folder.File("out"), Contracts.Plan());
        string path = Path.Combine(folder.File("out"), file);
        Fuzz.Run(File.ReadAllBytes(path), bytes =>
        {
            File.WriteAllBytes(path, bytes);
            using EmbeddingStore store = EmbeddingStore.Open(folder.File("out"));
            for (int row = 0; row < store.Rows; row++) store.Id(row);
            store.Read(0, new float[store.Rows * store.Dimensions]);
        });
    }

    private static void Write(string path, EmbeddingManifest plan, int stopAfter = int.MaxValue)
    {
        using EmbeddingWriter writer = EmbeddingWriter.Open(path, plan);
        while (writer.Manifest.Rows < plan.Source.Rows)
        {
            if (writer.Manifest.Shards.Count == stopAfter) return;
            int first = (int)writer.Manifest.Rows, count = Math.Min(plan.RowsPerShard, (int)plan.Source.Rows - first);
            writer.Append(Ids[first..(first + count)], (at, rows) => Vectors(first + at, rows.Length / 4).CopyTo(rows), count * 7, 1, 0);
        }

        writer.Complete();
    }

    private static float[] Vectors(int first, int count) =>
        [.. Enumerable.Range(first, count).SelectMany(r => new[] { r, 0.5f, -r, 2 })];

    private static void Leave(string folder, string file, Random random)
    {
        if (random.Next(2) == 0) return;
        byte[] bytes = new byte[random.Next(50)];
        random.NextBytes(bytes);
        File.WriteAllBytes(Path.Combine(folder, file), bytes);
    }

    private static void AssertSameFiles(string expected, string actual) => Assert.That(Snapshot(actual), Is.EqualTo(Snapshot(expected)));

    private static string[] Snapshot(string folder) =>
        [.. Directory.GetFiles(folder).Order(StringComparer.Ordinal)
            .Select(p => $"{Path.GetFileName(p)} {Convert.ToHexString(File.ReadAllBytes(p))}")];
}
