using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cli.Tests;

/// <summary>
/// Every op, and a training step, on the emulated GPU that watches each access to memory: two threads that touch a word without a barrier between them, or an
/// access outside of its allocation, fail the launch. The shapes are those of <c>bench --preset tiny</c>.
/// </summary>
internal sealed class CheckedKernelsTests
{
    [TestCase("cuda:0", "float32")]
    [TestCase("cuda:1", "bfloat16", Description = "with the kernels for Hopper")]
    public async Task No_op_has_a_race(string device, string dtype)
    {
        string[] arguments = ["bench", "--device", device, "--dtype", dtype, "--preset", "tiny", "--seconds", "0", "--peak-tflops", "1", "--peak-gbs", "1"];
        CommandRun run = await CommandProcess.RunAsync(EmulatedCuda.Variables(isChecked: true), [.. arguments, "--json", "--quiet"]);
        Assert.That(run.ExitCode, Is.Zero, run.Error);
        using JsonDocument document = JsonDocument.Parse(run.Output);
        string?[] ops = [.. document.RootElement.GetProperty("cases").EnumerateArray().Select(entry => entry.GetProperty("op").GetString()).Distinct()];
        Assert.That(ops, Has.Length.GreaterThan(30), "ops that ran");
    }
}
