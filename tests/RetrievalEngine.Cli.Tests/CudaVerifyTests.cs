using System.IO;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cli.Tests;

/// <summary>Models and trainings against the reference implementation's numbers, on the emulated GPU in float32, from the command line.</summary>
[TestFixture]
internal sealed class CudaVerifyTests
{
    [TestCase("models", "llama3")]
    [TestCase("models", "bert")]
    [TestCase("training", "llama3")]
    [TestCase("training", "bert")]
    public async Task Agrees_with_the_reference(string kind, string family)
    {
        string folder = Path.Combine(CudaLibrary.Root!, "tests", "RetrievalEngine.Tests", "Data", "goldens", kind, family);
        CommandRun run = await CommandProcess.RunAsync(EmulatedCuda.Variables(), "verify", folder, "--device", "cuda:0");
        Assert.That(run.ExitCode, Is.Zero, run.Output + run.Error);
        Assert.That(run.Output, Does.Match(@"\n[5-9] ok, 0 failed, 0 skipped\n$"));
    }
}
