using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cli.Tests;

/// <summary><c>encode</c> and <c>index build</c> as a user meets them.</summary>
internal sealed class EncodeCommandTests
{
    private TemporaryFiles _files = null!;
    private string _model = null!, _corpus = null!;

    [SetUp]
    public void SetUp()
    {
        _files = new TemporaryFiles();
        _model = TinyModel.WriteDecoder(_files.PathOf("model"));
        _corpus = _files.Write("corpus.jsonl", string.Concat(Enumerable.Range(0, 50)
            .Select(i =>
                $$"""{"_id": "d{{i}}", "title": "T{{i}}", "text": "{{string.Join(' ', Enumerable.Repeat($"w{i}", i * 3 % 17))}}"}""" + "\n")));
    }

    [TearDown]
    public void TearDown() => _files.Dispose();

    [Test]
    public async Task Encode_ThenIndex_ThenAgain()
    {
        string[] encode =
            ["encode", "--model", _model, "--input", _corpus, "--output", _files.PathOf("emb"), "--rows-per-shard", "16", "--passage-max-len", "30"];
        CommandRun first = await CommandRun.Of(encode);
        Assert.That((first.ExitCode, first.Output), Is.EqualTo((ExitCodes.Done, first.Output)), first.Error);
        Assert.That(first.Output, Does.StartWith("50 vectors of 16 float32 numbers in "));
        Assert.That(first.Error, Does.Match("warning: [0-9]+ of 50 texts are longer than 30 tokens and were truncated"));
        CommandRun again = await CommandRun.Of(encode);
        Assert.That((again.ExitCode, again.Output),
            Is.EqualTo((ExitCodes.Done, "already complete: 50 vectors of 16 float32 numbers in " + _files.PathOf("emb") + Environment.NewLine)));

        CommandRun index = await CommandRun.Of("index", "build", "--embeddings", _files.PathOf("emb"), "--output", _files.PathOf("idx"), "--json");
        Assert.That(index.ExitCode, Is.EqualTo(ExitCodes.Done), index.Error);
        Assert.That(JsonDocument.Parse(index.Output).RootElement.GetProperty("rows").GetInt64(), Is.EqualTo(50));
        CommandRun info = await CommandRun.Of("info", _files.PathOf("idx"), "--json");
        JsonElement description = JsonDocument.Parse(info.Output).RootElement;
        Assert.That(description.GetProperty("kind").GetString(), Is.EqualTo("index"));
        Assert.That(description.GetProperty("contract").GetProperty("pooling").GetString(), Is.EqualTo("last"));
    }

    [Test]
    public async Task Encode_EmptyTexts_AreCounted()
    {
        string corpus = _files.Write("empty.jsonl", """{"_id": "a", "text": ""}""" + "\n" + """{"_id": "b", "text": "x"}""" + "\n");
        CommandRun run = await CommandRun.Of("encode", "--model", _model, "--input", corpus, "--output", _files.PathOf("emb"));
        Assert.That(run.Error, Does.Contain("warning: 1 of 2 texts are empty"));
        Assert.That((await CommandRun.Of("encode", "--model", _model, "--input", corpus, "--output", _files.PathOf("quiet"), "--quiet")).Error,
            Is.Empty);
    }

    [TestCase("absent.jsonl", null, "no such file")]
    [TestCase("void.jsonl", "", "holds no documents")]
    [TestCase("twice.jsonl", "{\"_id\": \"a\", \"text\": \"x\"}\n{\"_id\": \"a\", \"text\": \"y\"}\n", "line 2: id \"a\" is there already in line 1")]
    [TestCase("bad.jsonl", "{\"_id\": \"a\"}\n", "line 1: field \"text\" is missing")]
    public async Task Encode_BadInput_IsOneSentenceAndNothingIsWritten(string name, string? content, string expected)
    {
        string input = content is null ? _files.PathOf(name) : _files.Write(name, content);
        await Refused(expected, "encode", "--model", _model, "--input", input, "--output", _files.PathOf("emb"));
        Assert.That(Directory.Exists(_files.PathOf("emb")), Is.False);
    }

    [Test]
    public async Task Encode_BadModel_IsOneSentence()
    {
        string[] rest = ["--input", _corpus, "--output", _files.PathOf("emb")];
        await Refused("no such folder", ["encode", "--model", _files.PathOf("absent"), .. rest]);
        await Refused("no such folder", ["encode", "--model", _model, "--adapter", _files.PathOf("absent"), .. rest]);
        string weights = Path.Combine(_model, "model.safetensors"), config = Path.Combine(_model, "config.json");
        byte[] whole = File.ReadAllBytes(weights);
        File.WriteAllBytes(weights, whole[..^10]);
        await Refused("truncated", ["encode", "--model", _model, .. rest]);
        File.WriteAllBytes(weights, whole);
        File.WriteAllText(config, File.ReadAllText(config).Replace("llama", "gpt_bigcode", StringComparison.Ordinal));
        await Refused("gpt_bigcode", ["encode", "--model", _model, .. rest]);
        Assert.That(Directory.Exists(_files.PathOf("emb")), Is.False);
    }

    [Test]
    public async Task Encode_TokenIdBeyondTheRows_IsOneSentence()
    {
        string tokenizer = Path.Combine(_model, "tokenizer.json");
        File.WriteAllText(tokenizer,
            File.ReadAllText(tokenizer).Replace("\"T\":", "\"unused\": 5000, \"T\": 5001, \"also unused\":", StringComparison.Ordinal));
        await Refused("beyond the 258 rows", "encode", "--model", _model, "--input", _corpus, "--output", _files.PathOf("emb"));
    }

    [Test]
    public async Task Encode_OutputThatCannotBeWritten_IsOneSentence()
    {
        string[] encode = ["encode", "--model", _model, "--input", _corpus, "--output"];
        string file = _files.Write("file", "mine");
        await Refused("is a file where a folder", [.. encode, file]);
        await Refused("cannot be written", [.. encode, Path.Combine(file, "below")]);
        Directory.CreateDirectory(_files.PathOf("full"));
        _files.Write("full/notes.txt", "mine");
        await Refused("is not empty", [.. encode, _files.PathOf("full")]);
        Assert.That(File.ReadAllText(_files.PathOf("full/notes.txt")) + File.ReadAllText(file), Is.EqualTo("minemine"));
        if (OperatingSystem.IsLinux()) await Refused("cannot be written", [.. encode, "/proc/self/emb"]);
    }

    [Test]
    public async Task Encode_ShardsBeyondMemory_AreRefused() => await Refused("ask for at most 16777216 rows",
        "encode", "--model", _model, "--input", _corpus, "--output", _files.PathOf("emb"), "--rows-per-shard", "100000000");

    [Test]
    public async Task Encode_UnknownFieldsOfTheConfiguration_AreNamed()
    {
        string config = Path.Combine(_model, "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("{", "{\"a_novelty\": 3,", StringComparison.Ordinal));
        CommandRun run = await CommandRun.Of("encode", "--model", _model, "--input", _corpus, "--output", _files.PathOf("emb"));
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((ExitCodes.Done, run.Error)));
        Assert.That(run.Error, Does.Contain("not applied: a_novelty"));
    }

    [Test]
    public async Task Encode_AnotherInputIntoAFinishedFolder_IsRefused()
    {
        await CommandRun.Of("encode", "--model", _model, "--input", _corpus, "--output", _files.PathOf("emb"));
        string other = _files.Write("other.jsonl", """{"_id": "a", "text": "x"}""");
        await Refused("made from another input", "encode", "--model", _model, "--input", other, "--output", _files.PathOf("emb"));
        await Refused("query prefix is \"q \" in this run but \"\" in that folder",
            "encode", "--model", _model, "--input", _corpus, "--output", _files.PathOf("emb"), "--query-prefix", "q ");
    }

    [Test]
    public async Task Index_OfQueriesOrDamagedEmbeddings_IsRefused()
    {
        string queries = _files.Write("queries.jsonl", """{"_id": "q", "text": "x"}""");
        await CommandRun.Of("encode", "--model", _model, "--input", queries, "--query", "--output", _files.PathOf("q"));
        await Refused("holds query embeddings", "index", "build", "--embeddings", _files.PathOf("q"), "--output", _files.PathOf("idx"));
        await CommandRun.Of("encode", "--model", _model, "--input", _corpus, "--output", _files.PathOf("emb"));
        await Refused("is in another of the folders too", "index", "build", "--embeddings", _files.PathOf("emb"), "--embeddings",
            _files.PathOf("emb"), "--output", _files.PathOf("idx"));
        string shard = Directory.GetFiles(_files.PathOf("emb"), "vectors-*").Single();
        byte[] bytes = File.ReadAllBytes(shard);
        bytes[^3] ^= 4;
        File.WriteAllBytes(shard, bytes);
        await Refused("the checksum is not that of the manifest", "index", "build", "--embeddings", _files.PathOf("emb"), "--output",
            _files.PathOf("idx"));
        File.WriteAllBytes(shard, bytes[..^1]);
        await Refused("truncated", "index", "build", "--embeddings", _files.PathOf("emb"), "--output", _files.PathOf("idx"));
        Assert.That(Directory.Exists(_files.PathOf("idx")), Is.False);
    }

    /// <summary>Killed at moments that chance picks, then run to the end: the same bytes as a run that was left alone.</summary>
    [Test]
    public async Task Encode_KilledAgainAndAgain_EndsWithTheSameBytes()
    {
        string corpus = _files.Write("many.jsonl", string.Concat(Enumerable.Range(0, 3000)
            .Select(i => $$"""{"_id": "d{{i}}", "text": "{{string.Join(' ', Enumerable.Repeat($"w{i}", 5 + i % 17))}}"}""" + "\n")));
        string[] encode = ["encode", "--model", _model, "--input", corpus, "--rows-per-shard", "100", "--quiet", "--output"];
        Assert.That((await CommandRun.Of([.. encode, _files.PathOf("whole")])).ExitCode, Is.EqualTo(ExitCodes.Done));
        Random random = new(1);
        int kills = 0;
        while (kills < 8)
        {
            using Process process = CommandProcess.Start([.. encode, _files.PathOf("killed")]);
            int shards = Shards() + random.Next(1, 4);
            Stopwatch clock = Stopwatch.StartNew();
            while (Shards() < shards && !process.HasExited && clock.Elapsed < TimeSpan.FromSeconds(30)) await Task.Delay(1);
            await Task.Delay(random.Next(8));
            if (process.HasExited) break;
            process.Kill();
            await process.WaitForExitAsync();
            kills++;
        }

        int Shards() => Directory.Exists(_files.PathOf("killed")) ? Directory.GetFiles(_files.PathOf("killed"), "vectors-*").Length : 0;

        Assert.That((await CommandRun.Of([.. encode, _files.PathOf("killed")])).ExitCode, Is.EqualTo(ExitCodes.Done));
        Assert.That(Snapshot(_files.PathOf("killed")), Is.EqualTo(Snapshot(_files.PathOf("whole"))), $"after {kills} kills");
        Assert.That(kills, Is.GreaterThan(2));
    }

    [Test]
    public async Task Encode_CtrlC_KeepsFinishedShardsAndExits130()
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("signals are sent with kill");
        string corpus = _files.Write(
            "many.jsonl", string.Concat(Enumerable.Range(0, 20_000).Select(i => $$"""{"_id": "d{{i}}", "text": "some words about {{i}}"}""" + "\n")));
        string output = _files.PathOf("emb");
        using Process process = CommandProcess.Start("encode", "--model", _model, "--input", corpus, "--rows-per-shard", "200", "--output", output);
        Stopwatch clock = Stopwatch.StartNew();
        while (!File.Exists(Path.Combine(output, "ids-000001-000001.jsonl")) && clock.Elapsed < TimeSpan.FromSeconds(30)) await Task.Delay(5);
        using (Process kill = Process.Start("kill", ["-INT", $"{process.Id}"])) await kill.WaitForExitAsync();
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode, Is.EqualTo(ExitCodes.Stopped), await process.StandardError.ReadToEndAsync());
        JsonElement manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(output, "manifest.json"))).RootElement;
        Assert.That(manifest.GetProperty("complete").GetBoolean(), Is.False);
        Assert.That(manifest.GetProperty("shards").GetArrayLength(), Is.GreaterThan(0));
    }

    [Test]
    public async Task Encode_FullDisk_IsOneSentence_AndGoesOnLater()
    {
        if (!OperatingSystem.IsLinux()) Assert.Ignore("the limit is set by a Linux shell");
        string[] encode = ["encode", "--model", _model, "--input", _corpus, "--rows-per-shard", "10", "--quiet", "--output", _files.PathOf("emb")];
        // A file of more than 1 KiB cannot be written: vectors and manifest are larger.
        using Process process = CommandProcess.StartLimited(fileBlocks: 1, encode);
        string error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.That((process.ExitCode, error.Trim().Split('\n').Length), Is.EqualTo((ExitCodes.BadInput, 1)), error);
        Assert.That(error, Does.StartWith("retrieval: ").And.Contain("cannot be written"));
        Assert.That(Directory.GetFiles(_files.PathOf("emb"), "*.partial"), Is.Empty);
        Assert.That((await CommandRun.Of(encode)).ExitCode, Is.EqualTo(ExitCodes.Done));
    }

    private static async Task Refused(string expected, params string[] args)
    {
        CommandRun run = await CommandRun.Of([.. args, "--quiet"]);
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput), run.Error);
        Assert.That(run.Error, Does.StartWith("retrieval: ").And.Contain(expected));
        Assert.That(run.Error.Trim().Split('\n'), Has.Length.EqualTo(1));
        Assert.That(run.Output, Is.Empty);
    }

    private static string[] Snapshot(string folder) =>
        [.. Directory.GetFiles(folder).Order(StringComparer.Ordinal)
            .Select(p => $"{Path.GetFileName(p)} {Convert.ToHexString(File.ReadAllBytes(p))}")];
}
