using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;

namespace RetrievalEngine.Cli.Tests;

internal sealed class CompareCommandTests
{
    private const string Qrels = "q1 0 a 1\nq2 0 a 1\nq3 0 a 1\nq4 0 a 1\n";
    private const string RunA = "q1 Q0 a 1 2 A\nq1 Q0 b 2 1 A\nq2 Q0 b 1 2 A\nq2 Q0 a 2 1 A\nq3 Q0 b 1 2 A\nq3 Q0 a 2 1 A\n";
    private const string RunB = "q1 Q0 a 1 2 B\nq1 Q0 b 2 1 B\nq2 Q0 a 1 2 B\nq2 Q0 b 2 1 B\nq3 Q0 a 1 2 B\nq3 Q0 b 2 1 B\nq4 Q0 a 1 1 B\n";

    [TestCase(false, 3, 2, 1, 2.0 / 3, 1.0)]
    [TestCase(true, 4, 3, 1, 0.5, 1.0)]
    public async Task Json_MeansAndCounts(bool complete, int queries, int wins, int ties, double meanA, double meanB)
    {
        using TemporaryFiles files = new();
        string[] paths = [files.Write("qrels", Qrels), files.Write("a", RunA), files.Write("b", RunB)];
        string[] options = complete ? ["-c"] : [];
        CommandRun run = await CommandRun.Of(["compare", "--json", "-m", "recip_rank", .. options, .. paths]);
        JsonElement measure = JsonDocument.Parse(run.Output).RootElement.GetProperty("measures").GetProperty("recip_rank");
        Assert.Multiple(() =>
        {
            Assert.That(measure.GetProperty("queries").GetInt32(), Is.EqualTo(queries));
            Assert.That(measure.GetProperty("wins").GetInt32(), Is.EqualTo(wins));
            Assert.That(measure.GetProperty("ties").GetInt32(), Is.EqualTo(ties));
            Assert.That(measure.GetProperty("mean_a").GetDouble(), Is.EqualTo(meanA).Within(1e-15));
            Assert.That(measure.GetProperty("mean_b").GetDouble(), Is.EqualTo(meanB).Within(1e-15));
            Assert.That(measure.GetProperty("fisher_p").GetDouble(), Is.EqualTo(complete ? 0.25 : 0.5));
            Assert.That(run.Error, complete ? Is.Empty : Does.Contain("1 judged queries are in one run only"));
        });
    }

    [Test]
    public async Task Text_OneLineAMeasure()
    {
        using TemporaryFiles files = new();
        CommandRun run = await CommandRun.Of("compare", files.Write("qrels", Qrels), files.Write("a", RunA), files.Write("b", RunB));
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.Done), run.Error);
        Assert.That(run.Output, Does.Contain("recip_rank").And.Contain("0.6667").And.Contain("+0.3333").And.Contain("ndcg_cut_10"));
    }

    [Test]
    public async Task MeasureWithoutMean_Refused()
    {
        using TemporaryFiles files = new();
        CommandRun run = await CommandRun.Of("compare", "-m", "num_ret", files.Write("qrels", Qrels), files.Write("a", RunA), files.Write("b", RunB));
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error, Does.Contain("num_ret has no mean"));
    }
}
