using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Cli.Bench;
using RetrievalEngine.Compute;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cli.Tests;

/// <summary><c>bench</c>: that it times everything, calculates floors right and compares with what it wrote before.</summary>
internal sealed class BenchCommandTests
{
    private const string Peaks = "--peak-tflops 0.001 --peak-gbs 1";

    // What takes no time of its own.
    private static readonly string[] s_untimed = [nameof(IBackend.Allocate), nameof(IBackend.Load), nameof(IBackend.Synchronize)];

    [Test]
    public async Task Every_op_is_timed()
    {
        JsonElement root = await Json("");
        List<JsonElement> cases = [.. root.GetProperty("cases").EnumerateArray()];
        string[] ops = [.. typeof(IBackend).GetMethods().Where(m => !m.IsSpecialName).Select(m => m.Name).Except(s_untimed).Append("TrainingStep").Order()];
        Assert.That(cases.Select(c => Text(c, "op")).Distinct().Order(), Is.EqualTo(ops));
        Assert.That(cases.Select(c => (Text(c, "op"), Text(c, "case"), Text(c, "shape"), Text(c, "dtype"))), Is.Unique);
        foreach (JsonElement entry in cases)
        {
            Assert.That(entry.GetProperty("seconds").GetDouble(), Is.Positive, entry.ToString());
            Assert.That(entry.TryGetProperty("share", out _), Is.EqualTo(!Text(entry, "op").EndsWith("load", StringComparison.Ordinal)), entry.ToString());
        }

        Assert.That(Text(root, "backend"), Does.StartWith("CPU "));
        Assert.That(root.GetProperty("machine").GetProperty("cores").GetInt32(), Is.EqualTo(Environment.ProcessorCount));
        Assert.That(Text(root, "version"), Does.Match(@"^\d+\.\d+\.\d+"));
    }

    // 64 × 64 × 64: 524,288 operations, three matrices of 16,384 bytes; at 1 GFLOP/s and 1 GB/s arithmetic bounds it. 64 × 64 elements are read twice and written once.
    [TestCase("MatMul", "x·Wᵀ", "flops", 524_288e-9)]
    [TestCase("Add", "a + b", "bytes", 3 * 16_384e-9)]
    public async Task Floors_are_operations_or_bytes_at_the_peaks(string op, string name, string bound, double floor)
    {
        JsonElement entry = (await Json($"--filter {op}")).GetProperty("cases").EnumerateArray().First(c => Text(c, "op") == op && Text(c, "case") == name);
        Assert.That(Text(entry, "bound"), Is.EqualTo(bound));
        Assert.That(entry.GetProperty("floor_seconds").GetDouble(), Is.EqualTo(floor).Within(1e-6).Percent);
        Assert.That(entry.GetProperty("share").GetDouble(), Is.EqualTo(floor / entry.GetProperty("seconds").GetDouble()).Within(1e-6).Percent);
    }

    // The numbers of a Llama 2 7B at 8,192 tokens, as calculated by hand in the design of the kernels.
    [TestCase("MatMul", "x·Wᵀ", 275e9, 168e6)]
    [TestCase("MatMul", "x·Wᵀ, wide", 739e9, 338e6)]
    [TestCase("AttentionForward", "causal", 34.4e9, 268e6)]
    [TestCase("AttentionBackward", "causal", 86e9, 537e6)]
    [TestCase("RmsNormForward", "with residual", 0, 268e6)]
    [TestCase("RmsNormBackward", "dx", 0, 201e6)]
    [TestCase("GatedActivationForward", "SwiGLU", 0, 541e6)]
    [TestCase("GatedActivationBackward", "SwiGLU", 0, 902e6)]
    [TestCase("AdamWStep", "with clipping", 0, 1.12e9)]
    [TestCase("PoolForward", "mean", 0, 67.4e6)]
    public void Operations_and_bytes_at_the_reference_shapes(string op, string name, double flops, double bytes)
    {
        BenchCase work = BenchCommand.Cases(BenchShapes.Named("7b"), DType.BF16, freeBytes: null).First(c => c.Op == op && c.Name == name);
        Assert.That(work.Flops, Is.EqualTo(flops).Within(0.5).Percent);
        Assert.That(work.Bytes, Is.EqualTo(bytes).Within(0.5).Percent);
    }

    [Test]
    public void An_index_is_as_large_as_fits()
    {
        BenchCase[] Searches(long? free) => [.. BenchCommand.Cases(BenchShapes.Named("7b"), DType.BF16, free).Where(c => c.Op == "ScoreTopK")];
        Assert.That(Searches(null)[0].Shape, Is.EqualTo("1 × 8841823 × 4096, k 1000"));
        Assert.That(Searches(10_000_000_000)[0].Shape, Is.EqualTo("1 × 1098632 × 4096, k 1000"));
        Assert.That(Searches(10_000_000_000)[^1].Bytes, Is.LessThan(9.2e9));
    }

    [Test]
    public async Task Lines_have_time_rate_floor_and_share()
    {
        CommandRun run = await CommandRun.Of(Arguments("--filter MatMul"));
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((0, "")));
        Assert.That(run.Output, Does.StartWith("CPU ").And.Contain("; peaks 1.00 GFLOP/s (given), 1.00 GB/s (given); preset tiny\nop  "));
        Assert.That(run.Output, Does.Match(@"\nMatMul +x·Wᵀ +64 × 64 × 64 +F32 +[\d.]+ +[\d.]+ [MGT]?FLOP/s +0\.52429 +[\d,]+%\n"));
    }

    [Test]
    public async Task A_baseline_is_compared_with()
    {
        using TemporaryFiles files = new();
        JsonNode before = JsonNode.Parse((await CommandRun.Of(Arguments("--filter Add --json --quiet"))).Output)!;
        before["cases"]![0]!["seconds"] = 1;
        before["machine"]!["hardware"] = "another machine";
        string path = files.Write("before.json", before.ToJsonString());
        CommandRun json = await CommandRun.Of(Arguments($"--filter Add,Scale --json --quiet --baseline {path}"));
        JsonElement[] cases = [.. JsonDocument.Parse(json.Output).RootElement.GetProperty("cases").EnumerateArray()];
        Assert.That(json.Error, Does.StartWith("warning: the baseline is from another machine, this is "));
        JsonElement added = cases.Single(c => Text(c, "op") == "Add"), scaled = cases.Single(c => Text(c, "op") == "Scale");
        Assert.That(added.GetProperty("faster_by").GetDouble(), Is.EqualTo(1 / added.GetProperty("seconds").GetDouble()).Within(1e-6).Percent);
        Assert.That(scaled.TryGetProperty("faster_by", out _), Is.False);
        CommandRun text = await CommandRun.Of(Arguments($"--filter Add --baseline {path}"));
        Assert.That(text.Output, Does.Contain("baseline ms   faster by\n").And.Match(@"% +1000\.0 +\d+\.\d{3}\n"));
    }

    [TestCase("{}")]
    [TestCase("not JSON")]
    [TestCase("""{"machine": {"hardware": "x"}, "cases": [{"seconds": 1}]}""")]
    public async Task A_baseline_that_is_none_is_refused(string content)
    {
        using TemporaryFiles files = new();
        string path = files.Write("before.json", content);
        CommandRun run = await CommandRun.Of(Arguments($"--baseline {path}"));
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((ExitCodes.BadInput, $"retrieval: {path}: not the output of retrieval bench --json\n")));
    }

    [Test]
    public async Task A_filter_that_fits_nothing_lists_the_ops()
    {
        CommandRun run = await CommandRun.Of(Arguments("--filter gemm"));
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error, Does.StartWith("retrieval: --filter gemm: no op is called so; there are Upload, ").And.Contains("MatMul, LoraMatMulForward"));
    }

    [Test]
    public async Task A_GPU_is_timed_by_its_own_clock()
    {
        CommandRun run = await CommandProcess.RunAsync(
            EmulatedCuda.Variables(), "bench", "--device", "cuda:0", "--preset", "tiny", "--seconds", "0", "--filter", "matmul,rmsnorm", "--json", "--quiet");
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((0, "")));
        JsonElement root = JsonDocument.Parse(run.Output).RootElement, machine = root.GetProperty("machine"), peaks = root.GetProperty("peaks");
        Assert.That(Text(machine, "hardware"), Is.EqualTo(Text(machine, "gpu")));
        Assert.That(peaks.GetProperty("flops_per_second").GetDouble(), Is.EqualTo(4 * 1e9 * 2048), "4 multiprocessors of sm_80 at 1 GHz");
        Assert.That(Text(peaks, "bytes_source"), Is.EqualTo("a copy, measured"));
        JsonElement[] products = [.. root.GetProperty("cases").EnumerateArray().Where(c => Text(c, "op") == "MatMul")];
        Assert.That(products.Select(c => Text(c, "dtype")).Distinct(), Is.EquivalentTo(new[] { "BF16", "F32" }));
        Assert.That(products.Select(c => c.GetProperty("seconds").GetDouble()), Is.All.Positive);
    }

    [Test]
    public async Task What_does_not_fit_says_so()
    {
        Dictionary<string, string?> environment = new(EmulatedCuda.Variables()) { ["EMULATE_MEMORY_MIB"] = "110" };
        string[] arguments = ["bench", "--device", "cuda:0", "--preset", "small", "--seconds", "0", "--filter", "EmbeddingForward", .. Peaks.Split(' ')];
        CommandRun run = await CommandProcess.RunAsync(environment, arguments);
        Assert.That(run.ExitCode, Is.Zero, run.Error);
        Assert.That(run.Output, Does.Match(@"EmbeddingForward .* does not fit: CUDA: cuMemAlloc gave CUDA_ERROR_OUT_OF_MEMORY .*; \d+ bytes were wanted, \d+ of \d+ are free\n"));
    }

    private static string[] Arguments(string more) =>
        $"bench --device cpu --preset tiny --seconds 0 {Peaks} {more}".Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static async Task<JsonElement> Json(string more)
    {
        CommandRun run = await CommandRun.Of(Arguments($"--json --quiet {more}"));
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((0, "")));
        return JsonDocument.Parse(run.Output).RootElement;
    }

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;
}
