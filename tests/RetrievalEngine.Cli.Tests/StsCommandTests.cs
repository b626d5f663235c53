using System.Globalization;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cli.Tests;

internal sealed class StsCommandTests
{
    [TestCase("dev", 0.8671724)]
    [TestCase("test", 0.8203485)]
    public async Task MiniLm_AgreesWithTheReference(string split, double spearman)
    {
        string model = SharedFolder.Require("goldens/real/model"), file = SharedFolder.Require($"data/sts/stsbenchmark/sts-{split}.csv");
        CommandRun run = await CommandRun.Of("sts", "--model", model, file, "--quiet", "--json");
        Assert.That(run.ExitCode, Is.Zero, run.Error);
        Assert.That(JsonDocument.Parse(run.Output).RootElement.GetProperty("spearman").GetDouble(), Is.EqualTo(spearman).Within(0.0005));
    }

    [Test]
    public async Task Correlations_OfATinyModel_AndWhereThereAreNone()
    {
        using TemporaryFiles files = new();
        string model = TinyModel.WriteEncoder(files.PathOf("model"));
        string alike = files.Write("alike.tsv", "5\tone text\tone text\n1\tone text\tquite another 123\n2\tone text\tone xyzq\n"), constant = files.Write("constant.tsv", "1\ta\tb\n1\tc\td\n");
        CommandRun run = await CommandRun.Of("sts", "--model", model, alike), none = await CommandRun.Of("sts", "--model", model, constant, "--json");
        string[] lines = run.Output.Split('\n');
        Assert.Multiple(() =>
        {
            Assert.That(lines[0], Is.EqualTo("pairs 3"));
            Assert.That(double.Parse(lines[1]["spearman ".Length..], CultureInfo.InvariantCulture), Is.GreaterThan(0.4), "equal sentences have the largest cosine");
            Assert.That(none.Output.Trim(), Is.EqualTo("""{"pairs":2,"spearman":null,"pearson":null}"""));
        });
        CommandRun bad = await CommandRun.Of("sts", "--model", model, files.PathOf("absent"));
        Assert.That((bad.ExitCode, bad.Error.Contains("no such file", System.StringComparison.Ordinal)), Is.EqualTo((ExitCodes.BadInput, true)));
    }
}
