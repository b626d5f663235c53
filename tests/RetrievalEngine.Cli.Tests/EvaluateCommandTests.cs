using System;
using System.IO;
using System.Text.Json;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cli.Tests;

internal sealed class EvaluateCommandTests
{
    private const string GoldenMeasures =
        "-m map -m ndcg -m ndcg_cut.1,3,5,10,20,100 -m recip_rank -m P.1,5,10,20 -m recall.5,10,20,100 -m success.1,5,10 -m Rprec -m num_q " +
        "-m num_ret -m num_rel -m num_rel_ret -m bpref -m map_cut.10,20";

    private static readonly string[] Attached =
        ["evaluate", "-q", "-c", "-l", "2", "-M", "100", "-m", "P.5", "-m", "-x", "--json", "a", "-Z", "z", "-q", "-m", "map", "b"];

    // As typed in SOURCE.txt.
    [TestCase("out.test", "qrels.test results.test")]
    [TestCase("out.test.a", "-m all_trec qrels.test results.test")]
    [TestCase("out.test.aq", "-m all_trec -q qrels.test results.test")]
    [TestCase("out.test.aqc", "-m all_trec -q -c qrels.test results.trunc")]
    [TestCase("out.test.aqcM", "-m all_trec -q -c -M100 qrels.test results.trunc")]
    [TestCase("out.test.aql", "-m all_trec -mrelstring.20 -q -l2 qrels.rel_level results.test")]
    [TestCase("out.test.aqZ", "-q -m all_trec -Z zscores_file qrels.test results.test")]
    [TestCase("out.test.meas_params", "-q -miprec_at_recall..10,.20,.25,.75,.50 -m P.5,7,3 -m recall.20,2000 -m Rprec_mult.5.0,0.2,0.35 " +
        "-mutility.2,-1,0,0 -m 11pt_avg..25,.5,.75 -mndcg.1=3,2=9,4=4.5 -mndcg_cut.10,20,23.4 -msuccess.2,5,20 qrels.test results.test")]
    public async Task TrecEvalSuite_AsTyped_SameBytes(string expected, string arguments)
    {
        string folder = SharedFolder.Require("data/eval/trec_eval");
        CommandRun run = await Evaluate(arguments, name => Path.Combine(folder, name));
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.Done), run.Error);
        Assert.That(run.Output, Is.EqualTo(await File.ReadAllTextAsync(Path.Combine(folder, expected))));
    }

    [TestCase("cranfield", "q")]
    [TestCase("cranfield", "qc")]
    [TestCase("cranfield", "qcM10")]
    [TestCase("cranfield", "qcl2")]
    [TestCase("edge", "q")]
    [TestCase("edge", "qc")]
    [TestCase("edge", "qcl2")]
    [TestCase("nfcorpus", "q")]
    [TestCase("nfcorpus", "qc")]
    [TestCase("nfcorpus", "qcM10")]
    [TestCase("nfcorpus", "qcl2")]
    [TestCase("scifact", "q")]
    [TestCase("scifact", "qc")]
    [TestCase("scifact", "qcM10")]
    public async Task RealRuns_SameBytesAsTrecEval(string name, string variant)
    {
        string folder = SharedFolder.Require("data/eval/golden-from-trec_eval");
        string expected = Path.Combine(folder, $"{name}.{variant}.out");
        string qrels = name switch
        {
            "edge" => Path.Combine(folder, "edge.qrels"),
            "nfcorpus" => SharedFolder.Require("data/collections/nfcorpus-tokenized/qrels.trec"),
            _ => SharedFolder.Require($"data/collections/{name}/qrels.trec"),
        };
        string options = variant switch { "q" => "", "qc" => "-c ", "qcM10" => "-c -M 10 ", _ => "-c -l 2 " };
        CommandRun run = await Evaluate(
            $"-q {GoldenMeasures} {options}QRELS RUN", file => file == "QRELS" ? qrels : Path.Combine(folder, $"{name}.run"));
        Assert.That(run.Output, Is.EqualTo(await File.ReadAllTextAsync(expected)), run.Error);
    }

    [TestCase("synthetic.msmarco.run.tsv")]
    [TestCase("synthetic.trec.run")]
    public async Task MsMarcoRules_ScriptsFigureAndFormat(string file)
    {
        string folder = SharedFolder.Require("data/eval/topics-qrels");
        CommandRun run = await Evaluate("--rules msmarco QRELS RUN", name => Path.Combine(folder, name == "QRELS" ? "synthetic.qrels" : file));
        Assert.That(run.Output, Is.EqualTo("#####################\nMRR @10: 0.204974206349206\nQueriesRanked: 1000\n#####################\n"),
            run.Error);
    }

    [Test]
    public async Task Json_HoldsUnroundedValues()
    {
        using TemporaryFiles files = new();
        string qrels = files.Write("qrels", "q1 0 a 1\nq1 0 b 1\nq1 0 c 1\n"), run = files.Write("run", "q1 Q0 a 1 2.5 t\nq1 Q0 x 2 1.5 t\n");
        CommandRun result = await CommandRun.Of("evaluate", "--json", "-q", "-m", "map", "-m", "recall.1,5", qrels, run);
        JsonElement root = JsonDocument.Parse(result.Output).RootElement;
        Assert.Multiple(() =>
        {
            Assert.That(root.GetProperty("measures").GetProperty("map").GetDouble(), Is.EqualTo(1.0 / 3));
            Assert.That(root.GetProperty("per_query").GetProperty("q1").GetProperty("recall_5").GetDouble(), Is.EqualTo(1.0 / 3));
            Assert.That(root.GetProperty("queries").GetInt32(), Is.EqualTo(1));
        });
    }

    [Test]
    public async Task JudgementsThatTheRunLacks_OneCountedWarning_SameOutput()
    {
        using TemporaryFiles files = new();
        string qrels = files.Write("qrels", "q1 0 a 1\nq1 0 b 1\nq2 0 a 1\n"), run = files.Write("run", "q1 Q0 a 1 2.5 t\n");
        CommandRun loud = await CommandRun.Of("evaluate", "-m", "map", qrels, run);
        CommandRun quiet = await CommandRun.Of("evaluate", "--quiet", "-m", "map", qrels, run);
        Assert.Multiple(() =>
        {
            Assert.That(loud.Error,
                Is.EqualTo("warning: the run lacks 1 of 2 judged queries, and of the others 1 of 2 judged documents" + Environment.NewLine));
            Assert.That(quiet.Error, Is.Empty);
            Assert.That(loud.Output, Is.EqualTo("map                   \tall\t0.5000\n"));
            Assert.That(quiet.Output, Is.EqualTo(loud.Output));
        });
    }

    [TestCase("q1 Q0 a 1 2 t\nq1 Q0 b 2 1 t\nq1 Q0 a 3 0 t\n", "line 3: document \"a\" is there twice for query \"q1\" (first in line 1)")]
    [TestCase("q1 Q0 a 1 2 t\nq1 Q0 b 2 high t\n", "line 2: score \"high\" is not a number")]
    [TestCase("q1 Q0 a 1 2 t\nq1 Q0 b 2\n", "line 2: 4 columns where the lines before have 6")]
    [TestCase("\n\n", "holds no results")]
    public async Task BadRun_OneSentence(string content, string message)
    {
        using TemporaryFiles files = new();
        string qrels = files.Write("qrels", "q1 0 a 1\n"), path = files.Write("bad.run", content);
        CommandRun run = await CommandRun.Of("evaluate", qrels, path);
        Assert.Multiple(() =>
        {
            Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
            Assert.That(run.Error.Trim(), Does.StartWith("retrieval: ").And.EndWith(message).And.Contain("bad.run").And.Not.Contain("\n"));
            Assert.That(run.Output, Is.Empty);
        });
    }

    [TestCase("-m", "mapp", "there is no measure \"mapp\"")]
    [TestCase("-m", "ndcg_cut_10", "try ndcg_cut.10")]
    [TestCase("-m", "P.0", "a depth must be 1 or more")]
    [TestCase("-Z", "absent", "absent: no such file")]
    public async Task BadOption_OneSentence(string option, string value, string message)
    {
        using TemporaryFiles files = new();
        CommandRun run = await CommandRun.Of("evaluate", option, value, files.Write("qrels", "q1 0 a 1\n"), files.Write("run", "q1 Q0 a 1 2 t\n"));
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error.Trim(), Does.Contain(message).And.Not.Contain("\n"));
    }

    [Test]
    public void SplitAttached_TakesGetoptsWordsApart()
    {
        string[] typed = ["evaluate", "-qcl2", "-M100", "-mP.5", "-m", "-x", "--json", "a", "-Zz", "-qm", "map", "b"];
        Assert.That(EvaluateCommand.SplitAttached(typed), Is.EqualTo(Attached));
    }

    [Test]
    public void SplitAttached_LeavesOtherVerbsAlone()
    {
        string[] typed = ["train", "-mP.5"];
        Assert.That(EvaluateCommand.SplitAttached(typed), Is.SameAs(typed));
    }

    private static Task<CommandRun> Evaluate(string arguments, Func<string, string> path)
    {
        string[] words = $"evaluate --quiet {arguments}".Split(' ');
        for (int i = 0; i < words.Length; i++)
        {
            bool isFile = i >= words.Length - 2 || words[i - Math.Min(i, 1)] == "-Z";
            if (isFile) words[i] = path(words[i]);
        }

        return CommandRun.Of(words);
    }
}
