using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cli.Tests;

/// <summary>Train, encode, index and search from the command line on the emulated GPU, beside the same on the CPU.</summary>
[TestFixture]
internal sealed class CudaTrainTests
{
    private const int Steps = 5;
    private TemporaryFiles _files = null!;
    private string _model = null!, _data = null!;

    [SetUp]
    public void SetUp()
    {
        _files = new TemporaryFiles();
        _model = TinyModel.WriteDecoder(_files.PathOf("model"));
        _data = _files.Write("train.jsonl", string.Concat(Enumerable.Range(0, 20).Select(i => $$"""
            {"query_id":"q{{i}}","query":"what is {{i}}","positive_passages":[{"docid":"p{{i}}","title":"","text":"text of {{i}}"}],
            """ + $$"""
             "negative_passages":[{"docid":"n{{i}}","title":"","text":"other {{i}}"}]}
            """ + "\n")));
    }

    [TearDown]
    public void TearDown() => _files.Dispose();

    [TestCase("bfloat16", true, 0.01)]
    [TestCase("bfloat16", false, 0.01)]
    [TestCase("float16", true, 0.003)]
    public async Task Five_steps_then_encode_index_and_search(string dtype, bool lora, double tolerance)
    {
        string[] gpu = ["--device", "cuda:0", "--dtype", dtype], adapter = lora ? ["--adapter", _files.PathOf("trained")] : [];
        string model = lora ? _model : _files.PathOf("trained");
        await Run([.. Train("cpu", lora), "--device", "cpu"]);
        await Run([.. Train("trained", lora), .. gpu]);
        double[] expected = Losses("cpu"), actual = Losses("trained");
        TestContext.Out.WriteLine($"CPU {string.Join(' ', expected)}, {dtype} {string.Join(' ', actual)}");
        Assert.That(actual, Has.Length.EqualTo(Steps));
        for (int i = 0; i < Steps; i++) Assert.That(actual[i], Is.EqualTo(expected[i]).Within(100 * tolerance).Percent, $"step {i + 1}");

        CommandRun other = await CommandProcess.RunAsync(EmulatedCuda.Variables(), [.. Train("trained", lora), "--resume", "--device", "cpu"]);
        Assert.That(other.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(other.Error, Does.Contain($"compute_dtype was \"{dtype}\" and is now \"float32\""));

        IEnumerable<string> documents = Enumerable.Range(0, 30).Select(i => $$"""{"_id":"d{{i}}","text":"text of {{i * 37 % 30}}"}""" + "\n");
        string corpus = _files.Write("corpus.jsonl", string.Concat(documents));
        string queries = _files.Write("queries.jsonl", """{"_id":"q","text":"text of 7"}""" + "\n");
        await Run(["encode", "--model", model, .. adapter, "--input", corpus, "--output", _files.PathOf("embeddings"), "--quiet", .. gpu]);
        await Run(["index", "build", "--embeddings", _files.PathOf("embeddings"), "--output", _files.PathOf("index"), "--quiet"]);
        string[] search = ["search", "--index", _files.PathOf("index"), "--model", model, .. adapter, "--queries", queries, "--depth", "5", "--quiet"];
        await Run([.. search, "--output", _files.PathOf("gpu.trec"), .. gpu]);
        await Run([.. search, "--output", _files.PathOf("cpu.trec"), "--device", "cpu"]);
        string[] found = await File.ReadAllLinesAsync(_files.PathOf("gpu.trec")), wanted = await File.ReadAllLinesAsync(_files.PathOf("cpu.trec"));
        Assert.That(found, Has.Length.EqualTo(5));
        // The text itself, by name: query, Q0, document, rank, score, tag.
        Assert.That(found[0].Split()[2], Is.EqualTo(wanted[0].Split()[2]));
        for (int i = 0; i < 5; i++)
            Assert.That(Score(found[i]), Is.EqualTo(Score(wanted[i])).Within(0.02), $"rank {i + 1}");
    }

    private static double Score(string line) => double.Parse(line.Split()[4], CultureInfo.InvariantCulture);

    private static async Task Run(string[] args)
    {
        CommandRun run = await CommandProcess.RunAsync(EmulatedCuda.Variables(), args);
        Assert.That(run.ExitCode, Is.Zero, $"{string.Join(' ', args)}\n{run.Output}{run.Error}");
    }

    private double[] Losses(string output) => [.. File.ReadLines(_files.PathOf(Path.Combine(output, "log.jsonl"))).Select(line =>
    {
        using JsonDocument step = JsonDocument.Parse(line);
        return step.RootElement.GetProperty("loss").GetDouble();
    })];

    private string[] Train(string output, bool lora) =>
    [
        "train", "--model", _model, "--train-data", _data, "--output", _files.PathOf(output), "--quiet", "--max-steps", $"{Steps}", "--train-group-size", "2",
        "--per-device-train-batch-size", "4", "--learning-rate", "1e-3", "--temperature", "0.1", .. lora ? new[] { "--lora", "--lora-r", "4" } : [],
    ];
}
