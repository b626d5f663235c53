using System.Collections.Generic;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cli.Tests;

/// <summary>The choice of what to compute on. The driver is bound once a process, so each case is a process of its own.</summary>
[TestFixture]
internal sealed class DevicesCommandTests
{
    private static readonly Dictionary<string, string?> s_noDriver = new() { ["RETRIEVAL_LIBCUDA"] = "/nowhere/libcuda.so.1" };

    [Test]
    public async Task Without_a_driver_the_list_says_so()
    {
        CommandRun text = await Run(s_noDriver, "devices"), json = await Run(s_noDriver, "devices", "--json");
        Assert.That((text.ExitCode, text.Error), Is.EqualTo((0, "")));
        Assert.That(text.Output, Does.StartWith("cpu     CPU ").And.Contain("cuda    none: the CUDA driver (/nowhere/libcuda.so.1) was not found\n")
            .And.EndsWith("auto    cpu\n"));
        JsonElement root = JsonDocument.Parse(json.Output).RootElement;
        Assert.That(root.GetProperty("cuda").GetArrayLength(), Is.Zero);
        Assert.That(root.GetProperty("cuda_unavailable").GetString(), Is.EqualTo("the CUDA driver (/nowhere/libcuda.so.1) was not found"));
        Assert.That(root.GetProperty("auto").GetString(), Is.EqualTo("cpu"));
    }

    [Test]
    public async Task A_GPU_by_name_that_cannot_be_had_is_an_error()
    {
        CommandRun run = await Run(s_noDriver, "verify", TestContext.CurrentContext.TestDirectory, "--device", "cuda:1");
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error, Is.EqualTo("retrieval: --device cuda:1: the CUDA driver (/nowhere/libcuda.so.1) was not found\n"));
    }

    [Test]
    public async Task Auto_asked_for_says_why_it_is_the_CPU_and_auto_by_itself_is_silent()
    {
        string[] verify = ["verify", TestContext.CurrentContext.TestDirectory];
        const string Line = "CUDA backend unavailable: the CUDA driver (/nowhere/libcuda.so.1) was not found; using the CPU\n";
        CommandRun asked = await Run(s_noDriver, [.. verify, "--device", "auto"]);
        CommandRun silent = await Run(new(s_noDriver) { [BackendSelection.DeviceVariable] = null }, verify);
        Assert.That(asked.Error, Does.StartWith(Line));
        Assert.That(silent.Error, Does.Not.Contain("CUDA"));
    }

    [TestCase("gpu")]
    [TestCase("cuda:")]
    [TestCase("cuda:-1")]
    [TestCase("cuda0")]
    public async Task A_device_that_does_not_exist_is_bad_usage(string device)
    {
        CommandRun run = await CommandRun.Of("verify", ".", "--device", device);
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error, Does.StartWith("--device is cpu, cuda, cuda:N or auto\n"));
    }

    [Test]
    public async Task The_CPU_computes_in_float32()
    {
        CommandRun run = await CommandRun.Of("verify", ".", "--device", "cpu", "--dtype", "bfloat16");
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error, Is.EqualTo("retrieval: --dtype bfloat16 is for GPUs; the CPU computes in float32\n"));
    }

    [Test]
    public async Task The_devices_of_a_driver_are_listed()
    {
        JsonElement root = JsonDocument.Parse((await Run(EmulatedCuda.Variables(), "devices", "--json")).Output).RootElement;
        JsonElement device = root.GetProperty("cuda")[0];
        Assert.That(device.GetProperty("device").GetString(), Is.EqualTo("cuda:0"));
        Assert.That(device.GetProperty("architecture").GetString(), Does.StartWith("sm_"));
        Assert.That(device.GetProperty("free_bytes").GetInt64(), Is.Positive.And.LessThanOrEqualTo(device.GetProperty("memory_bytes").GetInt64()));
        Assert.That(device.GetProperty("usable").GetBoolean());
        Assert.That(root.GetProperty("auto").GetString(), Is.EqualTo("cuda:0"));

        CommandRun text = await Run(EmulatedCuda.Variables(), "devices");
        Assert.That(text.Output, Does.Match(@"cuda:0  .* \(sm_\d+\), [\d.]+ of [\d.]+ GiB free, CUDA \d+\.\d\n").And.EndsWith("auto    cuda:0\n"));
        CommandRun absent = await Run(EmulatedCuda.Variables(), "verify", ".", "--device", "cuda:99");
        Assert.That(absent.Error, Does.StartWith("retrieval: --device cuda:99: there is no cuda:99; the devices here are cuda:0"));
    }

    private static Task<CommandRun> Run(Dictionary<string, string?> environment, params string[] args) => CommandProcess.RunAsync(environment, args);
}
