using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cli.Tests;

/// <summary><c>train --task reranker</c> and <c>rerank</c> as a user meets them: killed, resumed, with what their folders hold, and with bad input.</summary>
internal sealed class RerankCommandTests
{
    private const int Steps = 30;
    private TemporaryFiles _files = null!;
    private string _encoder = null!, _decoder = null!, _data = null!, _corpus = null!, _queries = null!, _run = null!;

    [SetUp]
    public void SetUp()
    {
        _files = new TemporaryFiles();
        _encoder = TinyModel.WriteEncoder(_files.PathOf("encoder"));
        _decoder = TinyModel.WriteDecoder(_files.PathOf("decoder"));
        _data = _files.Write("train.jsonl", string.Concat(Enumerable.Range(0, 40).Select(i =>
            $$"""{"query_id":"q{{i}}","query":"what is {{i}}","positive_passages":[{"docid":"p{{i}}","title":"Title","text":"text of {{i}}"}],"negative_passages":[{"docid":"n{{i}}","title":"","text":"other {{i}}"},{"docid":"m{{i}}","title":"","text":"else"}]}""" + "\n")));
        _corpus = _files.Write("corpus.jsonl", string.Concat(Enumerable.Range(0, 6).Select(i => $$"""{"_id":"d{{i}}","title":"t{{i}}","text":"the text number {{i}}, and more of it{{new string('x', 10 * i)}}"}""" + "\n")));
        _queries = _files.Write("queries.jsonl", "{\"_id\":\"q0\",\"text\":\"number 1\"}\n{\"_id\":\"q1\",\"text\":\"number 2 of texts\"}\n{\"_id\":\"q2\",\"text\":\"unsearched\"}\n");
        _run = _files.Write("first.run", string.Concat(((string[])["q0", "q1"]).SelectMany(q => Enumerable.Range(0, 6).Select(i => $"{q} Q0 d{i} {i + 1} {10 - i} bm25\n"))));
    }

    [TearDown]
    public void TearDown() => _files.Dispose();

    [TestCase(true)]
    [TestCase(false)]
    public async Task KilledAndResumed_EndsWithTheSameBytes(bool lora)
    {
        string[] whole = Train(_encoder, "whole", lora), killed = Train(_encoder, "killed", lora);
        Assert.That((await CommandRun.Of(whole)).ExitCode, Is.EqualTo(ExitCodes.Done));
        Random random = new(Environment.TickCount);
        int step = 1 + random.Next(Steps * 3 / 4);
        TestContext.Out.WriteLine($"killed at step {step}");
        using (Process process = CommandProcess.Start([.. killed, "--resume"]))
        {
            string log = _files.PathOf("killed/log.jsonl");
            while (!process.HasExited && (!File.Exists(log) || ReadShared(log).Length < step)) Thread.Sleep(2);
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
        }

        CommandRun resumed = await CommandRun.Of([.. killed, "--resume"]);
        Assert.That(resumed.ExitCode, Is.EqualTo(ExitCodes.Done), resumed.Error);
        string weights = lora ? "adapter_model.safetensors" : "model.safetensors";
        Assert.That(await File.ReadAllBytesAsync(_files.PathOf(Path.Combine("killed", weights))), Is.EqualTo(await File.ReadAllBytesAsync(_files.PathOf(Path.Combine("whole", weights)))));
        string[] lines = await File.ReadAllLinesAsync(_files.PathOf("killed/log.jsonl"));
        Assert.That(lines, Has.Length.EqualTo(Steps).And.All.Contain("score_deviation"));
    }

    [Test]
    public async Task Interrupted_SavesAndExitsWithItsOwnCode()
    {
        string[] train = Train(_decoder, "stopped", lora: true);
        using Process process = CommandProcess.Start(train);
        string log = _files.PathOf("stopped/log.jsonl");
        while (!process.HasExited && (!File.Exists(log) || ReadShared(log).Length < 3)) Thread.Sleep(2);
        using (Process kill = Process.Start("kill", ["-INT", process.Id.ToString(CultureInfo.InvariantCulture)])) await kill.WaitForExitAsync();
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode, Is.EqualTo(ExitCodes.Stopped), await process.StandardError.ReadToEndAsync());
        Assert.That((await CommandRun.Of([.. train, "--resume"])).ExitCode, Is.EqualTo(ExitCodes.Done));
    }

    [Test]
    public async Task Folders_HoldWhatPeftAndTransformersLookFor()
    {
        Assert.That((await CommandRun.Of(Train(_encoder, "full", lora: false))).ExitCode, Is.Zero);
        Assert.That((await CommandRun.Of(Train(_encoder, "adapter", lora: true))).ExitCode, Is.Zero);
        Assert.That((await CommandRun.Of(Train(_decoder, "decoder-adapter", lora: true))).ExitCode, Is.Zero);
        string golden = SharedFolder.Require("goldens/reranker/bert");
        JsonElement config = JsonDocument.Parse(await File.ReadAllTextAsync(_files.PathOf("full/config.json"))).RootElement;
        JsonElement adapter = JsonDocument.Parse(await File.ReadAllTextAsync(_files.PathOf("adapter/adapter_config.json"))).RootElement;
        Assert.Multiple(() =>
        {
            Assert.That(Names("full/model.safetensors"), Is.EquivalentTo(Names(Path.Combine(golden, "model.safetensors"))));
            Assert.That(config.GetProperty("architectures")[0].GetString(), Is.EqualTo("BertForSequenceClassification"));
            Assert.That(config.GetProperty("id2label").EnumerateObject().Count(), Is.EqualTo(1));
            Assert.That(adapter.GetProperty("task_type").GetString(), Is.EqualTo("SEQ_CLS"));
            Assert.That(adapter.GetProperty("modules_to_save").EnumerateArray().Select(m => m.GetString()), Is.EqualTo(new[] { "classifier", "score", "pooler" }));
            Assert.That(Names("adapter/adapter_model.safetensors"), Is.SupersetOf(Names(Path.Combine(golden, "adapter/adapter_model.safetensors"))));
            Assert.That(Names("adapter/adapter_model.safetensors"), Has.Member("base_model.model.bert.pooler.dense.weight"));
            Assert.That(Names("decoder-adapter/adapter_model.safetensors"),
                Has.Member("base_model.model.score.weight").And.Member("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight").And.None.Contains("classifier"));
        });
    }

    [TestCase("encoder", false)]
    [TestCase("encoder", true)]
    [TestCase("decoder", false)]
    [TestCase("decoder", true)]
    public async Task Rerank_SortsTheTopByScoresThatNoBatchChanges(string kind, bool lora)
    {
        string model = kind == "encoder" ? _encoder : _decoder;
        Assert.That((await CommandRun.Of([.. Train(model, "trained", lora), "--query-prefix", "ask: "])).ExitCode, Is.Zero);
        string[] reranker = lora ? ["--model", model, "--adapter", _files.PathOf("trained")] : ["--model", _files.PathOf("trained")];
        CommandRun run = await CommandRun.Of(Rerank("a.run", [.. reranker, "--depth", "4"]));
        Assert.That(run.ExitCode, Is.Zero, run.Error);
        Assert.That((await CommandRun.Of(Rerank("b.run", [.. reranker, "--depth", "4", "--batch-tokens", "1"]))).ExitCode, Is.Zero);
        Assert.That((await CommandRun.Of(Rerank("c.run", [.. reranker, "--depth", "4", "--query-prefix", ""]))).ExitCode, Is.Zero);
        string[][] rows = [.. (await File.ReadAllLinesAsync(_files.PathOf("a.run"))).Select(line => line.Split(' '))];
        CommandRun info = await CommandRun.Of("info", _files.PathOf("trained"));
        Assert.Multiple(() =>
        {
            Assert.That(rows.Select(row => row[0]), Is.EqualTo(new[] { "q0", "q0", "q0", "q0", "q1", "q1", "q1", "q1" }));
            Assert.That(rows.Take(4).Select(row => row[2]), Is.EquivalentTo(new[] { "d0", "d1", "d2", "d3" }));
            Assert.That(rows.Take(4).Select(row => float.Parse(row[4], CultureInfo.InvariantCulture)), Is.Ordered.Descending);
            Assert.That(File.ReadAllText(_files.PathOf("b.run")), Is.EqualTo(File.ReadAllText(_files.PathOf("a.run"))), "pairs one by one, without shared prefixes");
            Assert.That(File.ReadAllText(_files.PathOf("c.run")), Is.Not.EqualTo(File.ReadAllText(_files.PathOf("a.run"))), "the prefix of the training counts");
            Assert.That(run.Error, Does.Contain("nothing for 1 of 3 queries"));
            Assert.That(run.Output, Does.StartWith("2 queries, 8 pairs, "));
            Assert.That(info.Output, Does.Contain("reranker").And.Contain("query prefix: \"ask: \""));
        });
        CommandRun encode = await CommandRun.Of(["encode", .. reranker, "--input", _corpus, "--output", _files.PathOf("emb")]);
        Assert.That(encode.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(encode.Error, Does.Contain("is a reranker"));
    }

    [TestCase("encoder")]
    [TestCase("decoder")]
    public async Task RerankKilled_GoesOnAndEndsWithTheSameBytes(string kind)
    {
        Assert.That((await CommandRun.Of(Train(kind == "encoder" ? _encoder : _decoder, "trained", lora: false))).ExitCode, Is.Zero);
        const int Many = 3000;
        _queries = _files.Write("many.jsonl", string.Concat(Enumerable.Range(0, Many).Select(i => $$"""{"_id":"q{{i}}","text":"query {{i}}"}""" + "\n")));
        _run = _files.Write("many.run", string.Concat(Enumerable.Range(0, Many).SelectMany(q => Enumerable.Range(0, 6).Select(i => $"q{q} Q0 d{i} {i + 1} {10 - i} bm25\n"))));
        string[] whole = Rerank("whole.run", ["--model", _files.PathOf("trained")]), killed = Rerank("killed.run", ["--model", _files.PathOf("trained")]);
        Assert.That((await CommandRun.Of(whole)).ExitCode, Is.Zero);
        string journal = _files.PathOf("killed.run.unfinished");
        using (Process process = CommandProcess.Start(killed))
        {
            while (!process.HasExited && (!File.Exists(journal) || ReadShared(journal).Length < 20)) Thread.Sleep(1);
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
        }

        Assert.That(File.Exists(_files.PathOf("killed.run")), Is.False);
        // What a full disk or a crash leaves of a line is not believed.
        await File.AppendAllTextAsync(journal, "[\"q2999\",[\"d0\"");
        CommandRun resumed = await CommandRun.Of(killed);
        Assert.Multiple(() =>
        {
            Assert.That(resumed.Output, Does.Contain("were there before"), resumed.Error);
            Assert.That(File.ReadAllText(_files.PathOf("killed.run")), Is.EqualTo(File.ReadAllText(_files.PathOf("whole.run"))));
            Assert.That(File.Exists(journal), Is.False);
        });
        await File.WriteAllTextAsync(journal, "\"another reranking\"\n[\"q0\",[\"d5\"],[99]]\n");
        Assert.That((await CommandRun.Of(killed)).Output, Does.Not.Contain("before"), "that of something else is dropped");
    }

    [Test]
    public async Task Merged_RanksAsBaseAndAdapter([Values] bool decoder)
    {
        string model = decoder ? _decoder : _encoder, adapter = _files.PathOf("adapter"), merged = _files.PathOf("merged");
        Assert.That((await CommandRun.Of(Train(model, "adapter", lora: true))).ExitCode, Is.Zero);
        CommandRun merge = await CommandRun.Of("model", "merge", "--model", model, "--adapter", adapter, "--output", merged);
        Assert.That(merge.ExitCode, Is.Zero, merge.Error);
        Assert.That((await CommandRun.Of(Rerank("a.run", ["--model", model, "--adapter", adapter]))).ExitCode, Is.Zero);
        Assert.That((await CommandRun.Of(Rerank("b.run", ["--model", merged]))).ExitCode, Is.Zero);
        float[] a = Scores("a.run"), b = Scores("b.run");
        Assert.That(a, Has.Length.EqualTo(12));
        for (int i = 0; i < a.Length; i++) Assert.That(b[i], Is.EqualTo(a[i]).Within(1e-4));

        float[] Scores(string run) => [.. File.ReadAllLines(_files.PathOf(run)).Select(line => line.Split(' ')).OrderBy(row => row[0] + row[2], StringComparer.Ordinal)
            .Select(row => float.Parse(row[4], CultureInfo.InvariantCulture))];
    }

    [Test]
    public async Task Tokenize_PrintsWhatIsScored()
    {
        Assert.That((await CommandRun.Of(Train(_encoder, "full", lora: false))).ExitCode, Is.Zero);
        TextReader input = Console.In;
        try
        {
            Console.SetIn(new StringReader("ab\tcd\nab\tt\tcd\n"));
            CommandRun run = await CommandRun.Of("tokenize", "--model", _files.PathOf("full"));
            JsonElement[] lines = [.. run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
            Console.SetIn(new StringReader("q\tt-u\td\n"));
            CommandRun joined = await CommandRun.Of("tokenize", "--model", _decoder, "--pairs", "--preset", "rankllama-2024", "--max-length", "64");
            Console.SetIn(new StringReader("no pair\n"));
            CommandRun bad = await CommandRun.Of("tokenize", "--model", _files.PathOf("full"));
            Assert.Multiple(() =>
            {
                Assert.That(lines[0].GetProperty("tokens").EnumerateArray().Select(t => t.GetString()), Is.EqualTo(new[] { "[CLS]", "a", "##b", "[SEP]", "c", "##d", "[SEP]" }));
                Assert.That(lines[0].GetProperty("type_ids").EnumerateArray().Select(t => t.GetInt32()), Is.EqualTo(new[] { 0, 0, 0, 0, 1, 1, 1 }));
                Assert.That(lines[1].GetProperty("tokens").EnumerateArray().Select(t => t.GetString()), Has.Member("t"));
                Assert.That(string.Concat(JsonDocument.Parse(joined.Output).RootElement.GetProperty("tokens").EnumerateArray().Select(t => t.GetString())).Replace('Ġ', ' '),
                    Is.EqualTo("query:  q document:  t u d"));
                Assert.That((bad.ExitCode, bad.Error.Contains("line 1", StringComparison.Ordinal)), Is.EqualTo((ExitCodes.BadInput, true)));
            });
        }
        finally
        {
            Console.SetIn(input);
        }
    }

    [Test]
    public async Task DevSet_IsRerankedWhileTraining()
    {
        _files.Write("qrels.dev.tsv", "query-id\tcorpus-id\tscore\nq0\td1\t1\nq1\td2\t1\n");
        CommandRun run = await CommandRun.Of([.. Train(_decoder, "dev", lora: true), "--dev-data", _files.Folder, "--dev-run", _run, "--dev-depth", "5", "--eval-steps", "10"]);
        Assert.That(run.ExitCode, Is.Zero, run.Error);
        string[] lines = [.. (await File.ReadAllLinesAsync(_files.PathOf("dev/log.jsonl"))).Where(line => line.Contains("\"dev\"", StringComparison.Ordinal))];
        Assert.That(lines, Has.Length.EqualTo(3).And.All.Contain("mrr@10").And.All.Contain("ndcg@10"));
    }

    [Test]
    public async Task Preset_SetsWhatIsNotGiven()
    {
        string[] train = ["train", "--task", "reranker", "--preset", "rankllama-2024", "--model", _decoder, "--train-data", _data, "--output", _files.PathOf("preset"), "--quiet",
            "--max-steps", "1", "--rerank-max-len", "60", "--train-group-size", "3", "--per-device-train-batch-size", "2", "--gradient-accumulation-steps", "1"];
        Assert.That((await CommandRun.Of(train)).ExitCode, Is.Zero);
        JsonElement contract = JsonDocument.Parse(await File.ReadAllTextAsync(_files.PathOf("preset/rerank_contract.json"))).RootElement;
        JsonElement adapter = JsonDocument.Parse(await File.ReadAllTextAsync(_files.PathOf("preset/adapter_config.json"))).RootElement;
        CommandRun wrong = await CommandRun.Of([.. Train(_decoder, "x", lora: true), "--preset", "repllama-hf"]), list = await CommandRun.Of("info", "presets");
        Assert.Multiple(() =>
        {
            Assert.That(contract.GetProperty("passage_prefix").GetString(), Is.EqualTo("document:  "));
            Assert.That(contract.GetProperty("layout").GetString(), Is.EqualTo("joined"));
            Assert.That(contract.GetProperty("rerank_max_len").GetInt32(), Is.EqualTo(60), "what is given wins");
            Assert.That(adapter.GetProperty("r").GetInt32(), Is.EqualTo(8));
            Assert.That(wrong.Error, Does.Contain("is for a retriever"));
            Assert.That(list.Output, Does.Contain("rankllama-2023:").And.Contain("repllama-2023-nobos:").And.Contain("backbones-t5:"));
        });
    }

    [TestCase("--run", "q0 Q0 absent 1 1 x\n", "not in the corpus")]
    [TestCase("--run", "q9 Q0 d0 1 1 x\n", "not among the queries")]
    [TestCase("--run", "q0 Q0 d0 1 2 x\nq0 Q0 d0 2 1 x\n", "twice")]
    [TestCase("--run", "q0 d0\n", "columns")]
    [TestCase("--run", "", "holds no results")]
    [TestCase("--queries", "{\"_id\":\"q0\",\"text\":\"a\"}\n{\"_id\":\"q0\",\"text\":\"b\"}\n", "line 2")]
    [TestCase("--queries", "{\"_id\":\"q0\"}\n", "text")]
    [TestCase("--corpus", "{\"_id\":\"d0\",\"text\":\"a\"}\n{\"_id\":\"d0\",\"text\":\"b\"}\n", "line 2")]
    [TestCase("--corpus", "", "no documents")]
    public async Task BadFiles_AreNamedAndNothingIsWritten(string option, string content, string sentence)
    {
        Assert.That((await CommandRun.Of(Train(_encoder, "trained", lora: false))).ExitCode, Is.Zero);
        string[] args = Rerank("out.run", ["--model", _files.PathOf("trained")]);
        args[Array.IndexOf(args, option) + 1] = _files.Write("bad", content);
        await Refused(args, sentence);
        Assert.That(File.Exists(_files.PathOf("out.run")), Is.False);
    }

    [Test]
    public async Task WhatIsNoReranker_AndOptionsOfTheOtherTask_AreRefused()
    {
        await Refused(Rerank("out.run", ["--model", _encoder]), "no reranker");
        Assert.That((await CommandRun.Of([.. Train(_encoder, "retriever", lora: true).Where(arg => arg is not ("--task" or "reranker"))])).ExitCode, Is.Zero);
        await Refused(Rerank("out.run", ["--model", _encoder, "--adapter", _files.PathOf("retriever")]), "no reranker");
        await Refused([.. Train(_encoder, "x", lora: true), "--temperature", "0.1"], "--task retriever");
        await Refused(["train", "--model", _encoder, "--train-data", _data, "--output", _files.PathOf("x"), "--rerank-max-len", "20"], "--task reranker");
        await Refused([.. Train(_encoder, "x", lora: true), "--dev-data", _files.Folder], "--dev-run");
        await Refused([.. Train(_encoder, "x", lora: true), "--rerank-max-len", "1000"], "positions");
        await Refused([.. Train(_encoder, "x", lora: true), "--query-max-len", "20"], "segments");
        string bare = _files.Write("bare.jsonl", """{"query_id":"q","query":"a","positive_passages":[{"docid":"p","title":"","text":"t"}],"negative_passages":[]}""" + "\n");
        string[] args = Train(_encoder, "x", lora: true);
        args[Array.IndexOf(args, "--train-data") + 1] = bare;
        await Refused(args, "no row has negatives");
        Assert.That(Directory.Exists(_files.PathOf("x")), Is.False);
    }

    private static async Task Refused(string[] args, string sentence)
    {
        CommandRun run = await CommandRun.Of(args);
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput), run.Output);
        Assert.That(run.Error, Does.Contain(sentence).And.Not.Contain("   at "));
    }

    private static string[] ReadShared(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using StreamReader reader = new(stream);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private List<string> Names(string file)
    {
        using SafeTensorsFile tensors = SafeTensorsFile.Open(_files.PathOf(file));
        return [.. tensors.Tensors.Select(t => t.Name)];
    }

    private string[] Rerank(string output, string[] options) =>
        ["rerank", "--run", _run, "--queries", _queries, "--corpus", _corpus, "--output", _files.PathOf(output), .. options];

    private string[] Train(string model, string output, bool lora) =>
    [
        "train", "--task", "reranker", "--model", model, "--train-data", _data, "--output", _files.PathOf(output), "--quiet", "--max-steps", $"{Steps}", "--save-steps", "4",
        "--train-group-size", "3", "--per-device-train-batch-size", "4", "--learning-rate", "1e-3", .. lora ? new[] { "--lora", "--lora-r", "4" } : [],
    ];
}
