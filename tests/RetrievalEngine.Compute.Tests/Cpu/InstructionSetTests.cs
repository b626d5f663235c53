using System;
using System.Threading.Tasks;
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
    [TestCase("AVX2", "DOTNET_EnableAVX512")]
    [TestCase("scalar", "DOTNET_EnableHWIntrinsic")]
    public async Task Ops_pass_on_the_path(string path, string knob)
    {
        if (Backends.InstructionSet is not null) Assert.Ignore("this is a child process already");
        await ChildFixtures.RunAsync(path, "TestCategory=Ops", new() { [knob] = "0", [Backends.InstructionSetVariable] = path }, TimeSpan.FromMinutes(5));
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
