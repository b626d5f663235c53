using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using System.Xml.Linq;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests.Cpu;

/// <summary>
/// Runs every op fixture once more in child processes that may not use AVX-512, or no vector instructions at all. .NET 10 reads DOTNET_EnableAVX512
/// (older names such as DOTNET_EnableAVX512F do nothing) and DOTNET_EnableHWIntrinsic.
/// </summary>
[TestFixture]
internal sealed class InstructionSetTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(5);

    [TestCase("AVX2", "DOTNET_EnableAVX512")]
    [TestCase("scalar", "DOTNET_EnableHWIntrinsic")]
    public async Task Ops_pass_on_the_path(string path, string knob)
    {
        if (Backends.InstructionSet is not null) Assert.Ignore("this is a child process already");
        string results = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"instruction-set-{path}-{Environment.ProcessId}.trx");
        string host = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? Environment.ProcessPath! : "dotnet";
        ProcessStartInfo start = new(host)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            ArgumentList = { "vstest", typeof(InstructionSetTests).Assembly.Location, "--TestCaseFilter:TestCategory=Ops",
                $"--logger:trx;LogFileName={results}" },
            Environment = { [knob] = "0", [Backends.InstructionSetVariable] = path },
        };
        using Process child = Process.Start(start)!;
        Task<string> output = child.StandardOutput.ReadToEndAsync(), errors = child.StandardError.ReadToEndAsync();
        if (!child.WaitForExit(s_limit)) child.Kill(entireProcessTree: true);
        string text = await output + await errors;
        Assert.That(File.Exists(results), text);
        XElement counters = XDocument.Load(results).Descendants().Single(element => element.Name.LocalName == "Counters");
        File.Delete(results);
        TestContext.Out.WriteLine($"{path}: {counters.Attribute("passed")!.Value} of {counters.Attribute("total")!.Value} op tests passed");
        Assert.That(child.ExitCode, Is.Zero, text);
        Assert.That((int)counters.Attribute("passed")!, Is.GreaterThan(100), "op tests that passed");
    }

    [Test]
    [Category("Ops")]
    public void The_path_is_the_one_asked_for()
    {
        using CpuBackend backend = new(1);
        TestContext.Out.WriteLine(backend.Name);
        Assert.That(backend.Name, Does.Contain(Backends.InstructionSet ?? "CPU"));
    }
}
