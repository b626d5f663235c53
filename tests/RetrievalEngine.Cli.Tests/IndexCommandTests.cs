using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Runtime.Versioning;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Indexing;
using RetrievalEngine.Search;
using static RetrievalEngine.Cli.Tests.CommandRun;

namespace RetrievalEngine.Cli.Tests;

/// <summary><c>retrieval index</c> as a user meets it.</summary>
internal sealed class IndexCommandTests
{
    private const int Rows = 40, Dimensions = 6;
    private TemporaryFiles _files = null!;
    private string _vectors = null!, _index = null!;

    [SetUp]
    public async Task SetUp()
    {
        _files = new TemporaryFiles();
        _index = _files.PathOf("idx");
        _vectors = Vectors("vectors.npy", 0, Rows);
        CommandRun run = await Done("index", "import", _vectors, "--output", _index, "--metric", "cosine", "--storage", "float32");
        Assert.That(run.Output, Is.EqualTo($"40 vectors of 6 float32 numbers in {_index}" + Environment.NewLine));
    }

    [TearDown]
    public void TearDown() => _files.Dispose();

    [Test]
    public async Task AddDeleteCompactVerifyExport()
    {
        string more = Vectors("more.fvecs", 100, 3), ids = _files.Write("more.txt", "x\ny\n5\n");
        await Refused("id \"5\" is in", "index", "add", _index, more, "--ids", ids);
        Assert.That((await Done("index", "add", _index, more, "--ids", ids, "--replace", "--json")).Output, Does.Contain("\"generation\":2").And.Contains("\"rows\":42"));
        CommandRun deleted = await CommandRun.Of("index", "delete", _index, "--ids", _files.Write("gone", "0\nx\nabsent\n"));
        Assert.That((deleted.ExitCode, deleted.Output, deleted.Error), Is.EqualTo((ExitCodes.Done,
            $"deleted 2 vectors; 40 vectors of 6 float32 numbers in {_index}" + Environment.NewLine, $"warning: 1 of 3 ids are not in {_index}" + Environment.NewLine)));
        string[] run = (await Done("search", "--index", _index, "--query-embeddings", _vectors)).Output.Trim().Split('\n');
        Assert.That(run, Has.Length.EqualTo(Rows * 40));
        await Done("index", "compact", _index);
        Assert.That((await Done("search", "--index", _index, "--query-embeddings", _vectors)).Output.Trim().Split('\n'), Is.EqualTo(run));
        Assert.That((await Done("index", "verify", _index)).Output, Is.EqualTo("ok: 40 vectors of 6 float32 numbers, generation 4" + Environment.NewLine));
        Assert.That((await Done("info", _index, "--json")).Output, Does.Contain("\"metric\":\"cosine\"").And.Contains("\"deleted_rows\":0"));

        await Done("index", "export", _index, _files.PathOf("out.faiss"), "--ids", _files.PathOf("out.txt"));
        string again = _files.PathOf("again");
        await Done("index", "import", _files.PathOf("out.faiss"), "--ids", _files.PathOf("out.txt"), "--output", again);
        using IndexStore store = IndexStore.Open(again);
        Assert.That(store.Manifest.Metric, Is.EqualTo(Metric.InnerProduct));
        Assert.That(store.LiveRows.Select(store.Id), Is.EqualTo((await File.ReadAllLinesAsync(_files.PathOf("out.txt")))).And.Contains("y"));
        Assert.That((await Done("search", "--index", again, "--query-embeddings", _files.PathOf("out.faiss"), "--depth", "1")).Output.Split('\n')[0], Does.StartWith("0 Q0 1 1 "));
    }

    [Test]
    public async Task Verify_ChangedByte_FailsTheCheck()
    {
        string shard = Directory.GetFiles(_index, "vectors-*").Single();
        byte[] bytes = await File.ReadAllBytesAsync(shard);
        bytes[^1] ^= 1;
        await File.WriteAllBytesAsync(shard, bytes);
        CommandRun run = await CommandRun.Of("index", "verify", _index, "--quiet");
        Assert.That((run.ExitCode, run.Output), Is.EqualTo((ExitCodes.CheckFailed, "")));
        Assert.That(run.Error, Does.Contain("the checksum is not that of the manifest"));
        await Refused("no such folder", "index", "verify", _files.PathOf("absent"));
    }

    [Test]
    public async Task WhatCannotBe_IsNamed()
    {
        await Refused("names no model for queries; search it with --query-embeddings", "search", "--index", _index, "--query", "x");
        await Refused("holds an index already", "index", "import", _vectors, "--output", _index);
        await Refused("id \"0\" is in", "index", "add", _index, _vectors, "--ids", _files.Write("same", string.Concat(Enumerable.Range(0, Rows).Select(i => $"{i}\n"))));
        await Refused("has 1 ids but", "index", "add", _index, _vectors, "--ids", _files.Write("one", "a\n"));
        await Refused("holds vectors of 3 numbers", "index", "add", _index, Vectors("narrow.npy", 0, 2, 3));
        CommandRun run = await CommandRun.Of("index", "import", _vectors, "--output", _files.PathOf("o"), "--storage", "int4");
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((ExitCodes.BadInput, run.Error)));
        Assert.That(run.Error, Does.Contain("\"int4\" is none of float32, float16"));
    }

    [Test]
    [Platform("Linux")]
    public async Task FullDisk_LeavesTheOldGeneration()
    {
        string large = Vectors("large.npy", 0, 20_000);
        string[] before = Snapshot();
        using Process process = CommandProcess.StartLimited(100, "index", "add", _index, large, "--quiet");
        string error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode, Is.EqualTo(ExitCodes.BadInput), error);
        Assert.That(error, Does.Contain("cannot be written").And.Contains("vectors-000002-000000.safetensors"));
        Assert.That(Snapshot(), Is.EqualTo(before));
        await Done("index", "verify", _index);
    }

    [Test]
    [Platform("Linux")]
    [SupportedOSPlatform("linux")]
    public async Task ReadOnlyFolder_LeavesTheIndex_AndIsRead()
    {
        if (Environment.IsPrivilegedProcess && !File.Exists(CommandProcess.SetPriv)) Assert.Ignore("the superuser may write read-only folders, and setpriv is not here");
        string ids = _files.Write("gone", "0\n");
        string[] before = Snapshot();
        UnixFileMode mode = File.GetUnixFileMode(_index);
        File.SetUnixFileMode(_index, mode & ~(UnixFileMode.UserWrite | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite));
        try
        {
            CommandRun delete = await CommandProcess.RunUnprivilegedAsync("index", "delete", _index, "--ids", ids);
            Assert.That((delete.ExitCode, delete.Output), Is.EqualTo((ExitCodes.BadInput, "")), delete.Error);
            Assert.That(delete.Error, Does.Contain($"{_index} cannot be written"));
            CommandRun verify = await CommandProcess.RunUnprivilegedAsync("index", "verify", _index, "--quiet");
            Assert.That((verify.ExitCode, verify.Error), Is.EqualTo((ExitCodes.Done, "")));
        }
        finally
        {
            File.SetUnixFileMode(_index, mode);
        }

        Assert.That(Snapshot(), Is.EqualTo(before));
    }

    [Test]
    public async Task SecondWriter_IsRefused_WithASentence()
    {
        using IndexWriter writer = IndexWriter.Open(_index);
        await Refused("is being written by another process", "index", "delete", _index, "--ids", _files.Write("gone", "0\n"));
        await Done("index", "verify", _index);
    }

    private string[] Snapshot() => [.. Directory.GetFiles(_index).Order(StringComparer.Ordinal).Select(p => $"{Path.GetFileName(p)} {new FileInfo(p).Length}")];

    private string Vectors(string name, int seed, int rows, int dimensions = Dimensions)
    {
        Random random = new(seed);
        VectorFileWriter.Write(new VectorSource("test", rows, dimensions, row => $"{row}", (_, values) =>
        {
            foreach (ref float value in values) value = random.NextSingle() - 0.5f;
        }), Metric.InnerProduct, _files.PathOf(name), null);
        return _files.PathOf(name);
    }
}
