using System.Threading.Tasks;
using NUnit.Framework;

namespace RetrievalEngine.Cli.Tests;

internal sealed class VerbHelpTests
{
    [Test]
    public async Task Help_ListsEachVerbInOneSentence()
    {
        CommandRun run = await CommandRun.Of("--help");
        Assert.That(run.ExitCode, Is.Zero);
        Assert.That(run.Output, Does.Contain("  mine ").And.Contains("  search ").And.Contains("  demo ").And.Not.Contain("Examples:"));
    }

    [TestCase("search")]
    [TestCase("mine")]
    [TestCase("train")]
    [TestCase("index", "build")]
    [TestCase("index", "import")]
    [TestCase("index", "compact")]
    public async Task Help_OfAVerb_TeachesByExamples(params string[] verb)
    {
        CommandRun run = await CommandRun.Of([.. verb, "--help"]);
        Assert.That(run.ExitCode, Is.Zero);
        Assert.That(run.Output, Does.Contain("Example"));
    }

    [TestCase("Try: retrieval --help")]
    [TestCase("Try: retrieval index build --help", "index", "build")]
    public async Task BadUsage_NamesTheVerbToAsk(string expected, params string[] arguments)
    {
        CommandRun run = await CommandRun.Of(arguments);
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error, Does.Contain(expected));
    }
}
