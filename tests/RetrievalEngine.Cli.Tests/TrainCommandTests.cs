using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cli.Tests;

/// <summary><c>train</c> as a user meets it: from the shell, killed, stopped, resumed, with bad input.</summary>
internal sealed class TrainCommandTests
{
    private const int Steps = 40;
    private TemporaryFiles _files = null!;
    private string _model = null!, _data = null!;

    [SetUp]
    public void SetUp()
    {
        _files = new TemporaryFiles();
        _model = TinyModel.WriteEncoder(_files.PathOf("model"));
        _data = _files.Write("train.jsonl", string.Concat(Enumerable.Range(0, 50).Select(i =>
            $$"""{"query_id":"q{{i}}","query":"what is text {{i}}","positive_passages":[{"docid":"p{{i}}","title":"Title","text":"text of {{i}}"}],"negative_passages":[{"docid":"n{{i}}","title":"","text":"other {{i}}"}]}""" + "\n")));
    }

    [TearDown]
    public void TearDown() => _files.Dispose();

    [TestCase(true)]
    [TestCase(false)]
    public async Task KilledAndResumed_EndsWithTheSameBytes(bool lora)
    {
        string[] whole = Train("whole", lora), killed = Train("killed", lora);
        Assert.That((await CommandRun.Of(whole)).ExitCode, Is.EqualTo(ExitCodes.Done));
        int seed = Environment.TickCount;
        TestContext.Out.WriteLine($"kill times from seed {seed}");
        Random random = new(seed);
        for (int attempt = 0; attempt < 2; attempt++)
        {
            using Process process = CommandProcess.Start([.. killed, "--resume"]);
            WaitForStep(process, _files.PathOf("killed"), 1 + random.Next(Steps * 3 / 4));
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
        }

        CommandRun resumed = await CommandRun.Of([.. killed, "--resume"]);
        Assert.That(resumed.ExitCode, Is.EqualTo(ExitCodes.Done), resumed.Error);
        string weights = lora ? "adapter_model.safetensors" : "model.safetensors";
        Assert.That(await File.ReadAllBytesAsync(_files.PathOf(Path.Combine("killed", weights))), Is.EqualTo(await File.ReadAllBytesAsync(_files.PathOf(Path.Combine("whole", weights)))));
        Assert.That(await File.ReadAllLinesAsync(_files.PathOf("killed/log.jsonl")), Has.Length.EqualTo(Steps));
        CommandRun again = await CommandRun.Of([.. killed, "--resume"]);
        Assert.That(again.Output, Does.StartWith("already complete"));
    }

    [Test]
    public async Task Interrupted_SavesAndExitsWithItsOwnCode()
    {
        string[] train = Train("stopped", lora: true);
        using Process process = CommandProcess.Start(train);
        WaitForStep(process, _files.PathOf("stopped"), 3);
        using (Process kill = Process.Start("kill", ["-INT", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)])) await kill.WaitForExitAsync();
        await process.WaitForExitAsync();
        Assert.That(process.ExitCode, Is.EqualTo(ExitCodes.Stopped), await process.StandardError.ReadToEndAsync());
        Assert.That(Directory.EnumerateDirectories(_files.PathOf("stopped"), "checkpoint-*"), Is.Not.Empty);
        Assert.That((await CommandRun.Of([.. train, "--resume"])).ExitCode, Is.EqualTo(ExitCodes.Done));
    }

    [Test]
    public async Task Result_IsEncodedByItsOwnContract()
    {
        Assert.That((await CommandRun.Of([.. Train("run", lora: true), "--query-prefix", "query: "])).ExitCode, Is.EqualTo(ExitCodes.Done));
        string corpus = _files.Write("corpus.jsonl", """{"_id":"d","text":"text"}""" + "\n");
        Assert.That((await CommandRun.Of("encode", "--model", _model, "--adapter", _files.PathOf("run"), "--input", corpus, "--output", _files.PathOf("emb"))).ExitCode, Is.Zero);
        CommandRun info = await CommandRun.Of("info", _files.PathOf("emb"));
        Assert.That(info.Output, Does.Contain("query prefix: \"query: \""));
    }

    [TestCase("--train-data", "/no/such/file")]
    [TestCase("--model", "/no/such/folder")]
    [TestCase("--lora-target-modules", "nothing")]
    [TestCase("--lora-name-or-path", "/no/such/adapter")]
    [TestCase("--query-max-len", "100000")]
    [TestCase("--learning-rate", "-1")]
    [TestCase("--train-group-size", "0")]
    [TestCase("--output", "/dev/null/x")]
    public async Task BadInput_IsOneSentenceAndLeavesNothing(string option, string value)
    {
        string[] args = Train("bad", lora: true);
        int at = Array.IndexOf(args, option);
        if (at >= 0) args[at + 1] = value;
        else args = [.. args, option, value];
        CommandRun run = await CommandRun.Of(args);
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput), run.Error);
        Assert.That(run.Error, Is.Not.Empty.And.Not.Contain("   at "));
        Assert.That(Directory.Exists(_files.PathOf("bad")), Is.False);
    }

    private static void WaitForStep(Process process, string folder, int step)
    {
        string log = Path.Combine(folder, "log.jsonl");
        while (!process.HasExited)
        {
            if (File.Exists(log) && Lines(log) >= step) return;
            Thread.Sleep(2);
        }
    }

    private static int Lines(string path)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using StreamReader reader = new(stream);
        int lines = 0;
        while (reader.ReadLine() is not null) lines++;
        return lines;
    }

    private string[] Train(string output, bool lora) =>
    [
        "train", "--model", _model, "--train-data", _data, "--output", _files.PathOf(output), "--quiet", "--max-steps", "40", "--save-steps", "7", "--train-group-size", "2",
        "--per-device-train-batch-size", "4", "--learning-rate", "1e-3", .. lora ? new[] { "--lora", "--lora-r", "4" } : [],
    ];
}
