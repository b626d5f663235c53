using System;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Cuda;
using RetrievalEngine.Encoding;
using RetrievalEngine.Indexing;
using RetrievalEngine.Search;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Indexing;

internal sealed class IndexTests
{
    private TempFolder _temp = null!;
    private string _folder = null!;

    [SetUp]
    public void SetUp()
    {
        _temp = new TempFolder();
        _folder = _temp.File("index");
    }

    [TearDown]
    public void TearDown() => _temp.Dispose();

    [TestCase(VectorStorage.Float32, Metric.InnerProduct, 0)]
    [TestCase(VectorStorage.Float16, Metric.L2, 0)]
    [TestCase(VectorStorage.BFloat16, Metric.InnerProduct, 0)]
    [TestCase(VectorStorage.Int8, Metric.L2, 2 / 127f / 2 * 1.001f)]
    [TestCase(VectorStorage.Binary, Metric.InnerProduct, 2f)]
    public void Import_KeepsIdsAndVectors(VectorStorage storage, Metric metric, float tolerance)
    {
        string[] ids = [.. IndexRows.Ids(0, 20), "", "ü\u2028", "a\"b"];
        IndexBuilder.Import(IndexRows.Source(ids), _folder, metric, storage, shardBytes: 20);
        using IndexStore store = IndexStore.Open(_folder);
        store.Verify();
        store.VerifyContents();
        Assert.That(store.Manifest.Shards, Has.Count.GreaterThan(1));
        float[] row = new float[IndexRows.Dimensions];
        for (int i = 0; i < ids.Length; i++)
        {
            Assert.That(store.Id(i), Is.EqualTo(ids[i]));
            store.Read(i, row);
            Assert.That(row, Is.EqualTo(IndexRows.Of(ids[i])).Within(tolerance));
            if (metric == Metric.L2) Assert.That(store.Norm(i), Is.EqualTo(row.Sum(x => (double)x * x)).Within(1e-5).Percent);
        }
    }

    [TestCase(VectorStorage.Float32)]
    [TestCase(VectorStorage.Int8)]
    [TestCase(VectorStorage.Binary)]
    public void Cosine_KeepsUnitVectors_AndZero(VectorStorage storage)
    {
        // Lengths whose squares overflow and vanish in float32.
        float[][] vectors = [[3e30f, -4e30f, 0, 0, 0], [3e-30f, 4e-30f, 0, 0, 0], [0, 0, 0, 0, 0]];
        IndexBuilder.Import(IndexRows.Source(["0", "1", "2"], id => vectors[id[0] - '0']), _folder, Metric.Cosine, storage);
        using IndexStore store = IndexStore.Open(_folder);
        float[] row = new float[IndexRows.Dimensions];
        for (int i = 0; i < 3; i++)
        {
            store.Read(i, row);
            Assert.That(row.Sum(x => x * x), Is.EqualTo(i == 2 ? 0 : 1).Within(1e-6));
        }
    }

    [Test]
    public void AddDeleteReplaceCompact_AreGenerations()
    {
        IndexBuilder.Import(IndexRows.Source(IndexRows.Ids(0, 10)), _folder, Metric.InnerProduct, VectorStorage.Float32, shardBytes: 60);
        Assert.That(IndexEditor.Add(_folder, IndexRows.Source(["x", "y"])).Generation, Is.EqualTo(2));
        Assert.That(IndexEditor.Delete(_folder, ["d1", "d9", "x", "absent"]), Is.EqualTo(3));
        Assert.That(Live(), Is.EqualTo(new[] { "d0", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "y" }));
        Assert.That(() => IndexEditor.Add(_folder, IndexRows.Source(["z", "d5"])), Throws.TypeOf<InputException>().With.Message.Contains("id \"d5\" is in"));
        IndexEditor.Add(_folder, IndexRows.Source(["z", "d5", "d1"]), replace: true);
        string[] live = ["d0", "d2", "d3", "d4", "d6", "d7", "d8", "y", "z", "d5", "d1"];
        Assert.That(Live(), Is.EqualTo(live));

        // A reader of before goes on while files are replaced.
        using IndexStore reader = IndexStore.Open(_folder);
        IndexManifest compacted = IndexEditor.Compact(_folder);
        Assert.That((compacted.Generation, compacted.StoredRows, compacted.Shards.Count), Is.EqualTo((5, 11L, 1)));
        Assert.That(Directory.GetFiles(_folder).Select(Path.GetFileName),
            Is.EquivalentTo(new[] { "manifest.json", "lock", "vectors-000005-000000.safetensors", "ids-000005-000001.jsonl" }));
        Assert.That(Live(), Is.EqualTo(live));
        Assert.That(IndexRows.Check(reader), Is.EqualTo(live));
        Assert.That(IndexEditor.Compact(_folder).Generation, Is.EqualTo(5), "nothing to do");
        IndexEditor.Delete(_folder, live);
        Assert.That(Live(), Is.Empty);
    }

    [Test]
    public void Compact_KeepsTheBits_OfEveryStorage([Values] VectorStorage storage, [Values] Metric metric)
    {
        IndexBuilder.Import(IndexRows.Source(IndexRows.Ids(0, 30)), _folder, metric, storage, shardBytes: 50);
        float[][] before = Rows(_folder)[10..];
        IndexEditor.Delete(_folder, IndexRows.Ids(0, 10));
        IndexEditor.Compact(_folder);
        Assert.That(Rows(_folder), Is.EqualTo(before));

        static float[][] Rows(string folder)
        {
            using IndexStore store = IndexStore.Open(folder);
            return [.. store.LiveRows.Select(row =>
            {
                float[] vector = new float[IndexRows.Dimensions];
                store.Read(row, vector);
                return vector;
            })];
        }
    }

    [Test]
    public void Codes_FollowEveryChange_AndAreChecked([Values(VectorStorage.Float32, VectorStorage.BFloat16)] VectorStorage storage)
    {
        IndexBuilder.Import(IndexRows.Source(IndexRows.Ids(0, 30)), _folder, Metric.Cosine, storage, hasCodes: true, shardBytes: 100);
        IndexEditor.Add(_folder, IndexRows.Source(["x", "y"]));
        IndexEditor.Delete(_folder, ["d1", "d9", "x"]);
        Same();
        IndexEditor.Compact(_folder);
        Same();
        Assert.That(() => IndexBuilder.Import(IndexRows.Source(["a"]), _temp.File("l2"), Metric.L2, storage, hasCodes: true),
            Throws.TypeOf<InputException>().With.Message.Contains("an int8 scan goes with"));

        // An error that is too small proves what is not so: verify finds it though the checksum is right.
        string path = Directory.GetFiles(_folder, "vectors-*").Single(), manifest = Path.Combine(_folder, IndexManifest.FileName);
        string before = ContentHash.OfFile(path);
        byte[] bytes = File.ReadAllBytes(path);
        using (SafeTensorsFile file = SafeTensorsFile.Open(path))
        {
            int at = bytes.AsSpan().IndexOf(file.Bytes(IndexManifest.CodeErrorsTensor, 0, 40));
            bytes.AsSpan(at + 4, 4).Clear();
        }

        File.WriteAllBytes(path, bytes);
        File.WriteAllText(manifest, File.ReadAllText(manifest).Replace(before, ContentHash.OfFile(path), StringComparison.Ordinal));
        using IndexStore store = IndexStore.Open(_folder);
        store.Verify();
        Assert.That(() => store.VerifyContents(), Throws.TypeOf<InputException>().With.Message.Contains("the codes of row 1 are not"));

        void Same()
        {
            using CpuBackend cpu = new(1);
            using IndexStore store = IndexStore.Open(_folder);
            store.Verify();
            store.VerifyContents();
            FlatIndex index = store.CreateIndex(cpu);
            foreach (string id in (string[])["d3", "y", "z"])
            {
                SearchResults codes = index.Search(IndexRows.Of(id), 7, new SearchOptions { Scan = ScanKind.Codes });
                SearchResults full = index.Search(IndexRows.Of(id), 7, new SearchOptions { Scan = ScanKind.Full });
                Assert.That((codes.Scores, codes.Rows, codes.Proofs[0]), Is.EqualTo((full.Scores, full.Rows, SearchProof.Proven)));
                Assert.That(full.Rows.Any(store.Deleted.Contains), Is.False);
            }
        }
    }

    [TestCase(float.NaN, "element 3 is not a finite number", VectorStorage.Float32)]
    [TestCase(float.NegativeInfinity, "element 3 is not a finite number", VectorStorage.BFloat16)]
    [TestCase(70000f, "too large for float16", VectorStorage.Float16)]
    public void Insert_OfWhatCannotBeKept_NamesTheRow_AndLeavesTheIndex(float value, string expected, VectorStorage storage)
    {
        IndexBuilder.Import(IndexRows.Source(IndexRows.Ids(0, 4)), _folder, Metric.InnerProduct, storage);
        VectorSource source = IndexRows.Source(["a", "b", "c"], id => id == "b" ? [0, 0, 0, value, 0] : IndexRows.Of(id));
        Assert.That(() => IndexEditor.Add(_folder, source), Throws.TypeOf<InputException>().With.Message.Contains("row 1 (id \"b\")").And.Message.Contains(expected));
        Assert.That(Live(), Is.EqualTo(IndexRows.Ids(0, 4)));
        Assert.That(Directory.GetFiles(_folder), Has.Length.EqualTo(4), "nothing is left behind");
        Assert.That(() => IndexBuilder.Import(source, _temp.File("new"), Metric.InnerProduct, storage), Throws.TypeOf<InputException>());
        Assert.That(() => IndexStore.Open(_temp.File("new")), Throws.TypeOf<InputException>().With.Message.Contains("holds no index"));
        IndexBuilder.Import(IndexRows.Source(["a"]), _temp.File("new"), Metric.InnerProduct, storage);
    }

    [Test]
    public void SecondWriter_IsRefused_ReadersAreNot()
    {
        IndexBuilder.Import(IndexRows.Source(IndexRows.Ids(0, 4)), _folder, Metric.InnerProduct, VectorStorage.Float32);
        using IndexWriter writer = IndexWriter.Open(_folder);
        Assert.That(() => IndexEditor.Delete(_folder, ["d0"]), Throws.TypeOf<InputException>().With.Message.Contains("is being written by another process"));
        writer.Append(IndexRows.Source(["x"]));
        Assert.That(Live(), Is.EqualTo(IndexRows.Ids(0, 4)));
        writer.Commit();
        Assert.That(Live(), Does.Contain("x"));
    }

    [Test]
    public void OtherFolders_AreRefusedAndUntouched()
    {
        _temp.Write("other/notes.txt", "mine");
        Assert.That(() => Import(_temp.File("other")), Throws.TypeOf<InputException>().With.Message.Contains("is not empty"));
        Assert.That(() => Import(_temp.File("other/notes.txt")), Throws.TypeOf<InputException>().With.Message.Contains("is a file"));
        Import(_folder);
        Assert.That(() => Import(_folder), Throws.TypeOf<InputException>().With.Message.Contains("holds an index already"));
        Assert.That(() => IndexWriter.Open(_temp.File("other")), Throws.TypeOf<InputException>().With.Message.Contains("holds no index"));
        Assert.That(Directory.GetFiles(_temp.File("other")), Has.Length.EqualTo(1));

        static void Import(string folder) => IndexBuilder.Import(IndexRows.Source(["a"]), folder, Metric.InnerProduct, VectorStorage.Float32);
    }

    [Test]
    public void DuplicateIds_AreRefused() => Assert.That(
        () => IndexBuilder.Import(IndexRows.Source(["a", "b", "a"]), _folder, Metric.InnerProduct, VectorStorage.Float32),
        Throws.TypeOf<InputException>().With.Message.Contains("rows 0 and 2 have the same id \"a\""));

    [Test]
    public void Search_AllShards_GivesMemoryBack()
    {
        IndexBuilder.Import(IndexRows.Source(IndexRows.Ids(0, 40)), _folder, Metric.InnerProduct, VectorStorage.Float32, shardBytes: 100);
        long live = DeviceMemory.LiveBlocks;
        using (CpuBackend backend = new(1))
        using (IndexStore store = IndexStore.Open(_folder))
        {
            FlatIndex index = store.CreateIndex(backend);
            Assert.That(index.Search([1, 0, 0, 0, 0], 40).Rows, Is.EqualTo(Enumerable.Range(0, 40).Select(i => (long)i).OrderByDescending(i => IndexRows.Of($"d{i}")[0]).ThenBy(i => i)));
        }

        Assert.That(DeviceMemory.LiveBlocks, Is.EqualTo(live));
    }

    [TestCase(0)]
    [TestCase(100)]
    [TestCase(null)]
    public void Search_LeavesOnTheHostWhatADeviceHasNoRoomFor(int? resident)
    {
        if (CudaLibrary.Missing is { } reason) CiGate.SkipOrFail(reason);
        IndexBuilder.Import(IndexRows.Source(IndexRows.Ids(0, 40)), _folder, Metric.InnerProduct, VectorStorage.Float32, shardBytes: 100);
        Assert.That(CudaBackend.TryCreate(0, DType.F32, out CudaBackend? backend, out string why), why);
        using (backend)
        using (IndexStore store = IndexStore.Open(_folder))
        {
            long free = backend!.FreeBytes!.Value;
            FlatIndex index = store.CreateIndex(backend, resident);
            // Forty rows of five floats: of 100 bytes the first shard of five rows has room.
            Assert.That(free - backend.FreeBytes!.Value, Is.EqualTo(resident ?? 800));
            // All of a resident index is one block; rows from the host come once for as many queries as have room for their results.
            Assert.That((index.Blocks, index.QueriesTogether(1000)), Is.EqualTo(resident is null ? (1, 1024) : (8, 16777)));
            Assert.That(index.Search([1, 0, 0, 0, 0], 40).Rows, Is.EqualTo(Enumerable.Range(0, 40).Select(i => (long)i).OrderByDescending(i => IndexRows.Of($"d{i}")[0]).ThenBy(i => i)));
        }
    }

    [TestCase("\"vectors-000001-000000.safetensors\"", "\"../vectors-000001-000000.safetensors\"", "not a file name of this format")]
    [TestCase("\"rows\": 8,", "\"rows\": 9,", "less what is deleted")]
    [TestCase("\"stored_rows\": 10,", "\"stored_rows\": 11,", "not the sum")]
    [TestCase("\"deleted_rows\": 2,", "\"deleted_rows\": 3,", "less what is deleted")]
    [TestCase("\"format\": \"retrieval-index\"", "\"format\": \"x\"", "no index")]
    [TestCase("\"scan_storage\": \"int8\"", "\"scan_storage\": \"int4\"", "must be int8")]
    [TestCase("\"storage\": \"float32\"", "\"storage\": \"int8\"", "goes with storage")]
    [TestCase("\"metric\": \"inner_product\"", "\"metric\": \"l2\"", "goes with storage")]
    [TestCase("\"metric\": \"inner_product\"", "\"metric\": \"l3\"", "must be inner_product, cosine or l2")]
    [TestCase("\"deleted-000002-000000.safetensors\"", "\"vectors-000001-000000.safetensors\"", "not a file name of this format")]
    public void LyingManifest_IsRefused(string what, string instead, string expected)
    {
        MakeWithDeleted();
        string path = Path.Combine(_folder, IndexManifest.FileName), text = File.ReadAllText(path);
        Assert.That(text, Does.Contain(what));
        File.WriteAllText(path, text.Replace(what, instead, StringComparison.Ordinal));
        Assert.That(() => IndexStore.Open(_folder), Throws.TypeOf<InputException>().With.Message.Contains(expected));
    }

    /// <summary>RETRIEVAL_FUZZ_ROUNDS and RETRIEVAL_FUZZ_SEED make other slices of the loop, of any length.</summary>
    [TestCase("manifest.json")]
    [TestCase("vectors-000001-000000.safetensors")]
    [TestCase("ids-000001-000001.jsonl")]
    [TestCase("deleted-000002-000000.safetensors")]
    public void DamagedFile_IsRefusedInASentence(string file)
    {
        MakeWithDeleted();
        string path = Path.Combine(_folder, file);
        byte[] whole = File.ReadAllBytes(path);
        using CpuBackend backend = new(1);
        Fuzz.Run(whole, bytes =>
        {
            File.WriteAllBytes(path, bytes);
            long allocated = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using IndexStore store = IndexStore.Open(_folder);
                store.VerifyContents();
                // As a whole it must be searchable, whatever its numbers are.
                FlatIndex index = store.CreateIndex(backend);
                index.Search(new float[store.Manifest.Dimensions], 3);
                float[] ones = new float[store.Manifest.Dimensions];
                Array.Fill(ones, 1);
                index.Search(ones, 3);
            }
            finally
            {
                Assert.That(GC.GetAllocatedBytesForCurrentThread() - allocated, Is.LessThan(1 << 24), "an oversized allocation");
            }
        }, FromEnvironment("RETRIEVAL_FUZZ_ROUNDS", 1500), FromEnvironment("RETRIEVAL_FUZZ_SEED", 1));

        static int FromEnvironment(string name, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(name), out int value) ? value : otherwise;
    }

    private void MakeWithDeleted()
    {
        IndexBuilder.Import(IndexRows.Source(IndexRows.Ids(0, 10)), _folder, Metric.InnerProduct, VectorStorage.Float32, hasCodes: true);
        IndexEditor.Delete(_folder, ["d3", "d7"]);
    }

    private string[] Live()
    {
        using IndexStore store = IndexStore.Open(_folder);
        store.Verify();
        return IndexRows.Check(store);
    }
}
