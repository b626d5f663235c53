using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Cli.Demo;

namespace RetrievalEngine.Cli.Tests.Demo;

internal sealed class DemoCommandTests
{
    [Test]
    public async Task Demo_OnLittleDocumentation_PrintsTheTableAndAnswers_AndGoesOnWhereItWas()
    {
        using TemporaryFiles files = new();
        files.Write("docs.xml", Documentation(types: 60));
        string work = files.PathOf("work");
        string[] command = ["demo", "--documentation", files.Folder, "--work", work, "--threads", "1"];
        CommandRun run = await CommandRun.Of(command);
        Assert.That(run.ExitCode, Is.Zero, run.Error);
        string[] lines = run.Output.Split('\n');
        foreach (string row in (string[])["BM25 ", "random weights ", "base ", "tuned (base + LoRA) "])
            Assert.That(lines.Count(l => l.StartsWith(row, StringComparison.Ordinal)), Is.EqualTo(1), row);
        Assert.That(lines.Count(l => l.StartsWith("  1. ", StringComparison.Ordinal)), Is.EqualTo(3), "three questions are answered");
        Assert.That(run.Output, Does.Contain("Ask more:").And.Contains("--query \"your question\""));
        Assert.That(run.Error, Does.Contain("[1/14]").And.Contains("[14/14]").And.Contains("left)"));

        // As if it had been stopped in its last step.
        string record = Path.Combine(work, "demo.json"), text = File.ReadAllText(record);
        int last = text.LastIndexOf('{');
        File.WriteAllText(record, string.Concat(text.AsSpan(0, text.LastIndexOf(',', last)), "]}"));
        run = await CommandRun.Of(command);
        Assert.That(run.ExitCode, Is.Zero, run.Error);
        Assert.That(run.Error, Does.Contain("[14/14]").And.Not.Contain("[13/14]"));
    }

    [Test]
    public async Task Demo_ForeignWorkFolder_IsRefusedAndUntouched()
    {
        using TemporaryFiles files = new();
        string path = files.Write("mine.txt", "mine");
        CommandRun run = await CommandRun.Of("demo", "--work", files.Folder);
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput));
        Assert.That(run.Error, Does.Contain("not the demo's"));
        Assert.That(File.ReadAllText(path), Is.EqualTo("mine"));
    }

    [TestCase("{\"steps\": 3}")]
    [TestCase("{\"steps\": [{\"name\": \"data\"}]}")]
    [TestCase("[")]
    public void State_DamagedRecord_IsNamed(string record)
    {
        using TemporaryFiles files = new();
        files.Write("demo.json", record);
        Assert.That(() => DemoState.Open(files.Folder, []), Throws.TypeOf<InputException>().With.Message.Contains("demo.json is damaged"));
    }

    private static string Documentation(int types)
    {
        string[] verbs = ["opens", "closes", "counts", "sorts", "paints"], things = ["doors", "rivers", "letters", "clocks", "stones", "birds", "wheels"];
        StringBuilder xml = new("<doc><members>");
        for (int t = 0; t < types; t++)
        {
            string type = $"N.Type{(char)('A' + t % 26)}{(char)('a' + t / 26)}";
            xml.Append($"<member name=\"T:{type}\" />");
            foreach (string verb in verbs)
                xml.Append($"<member name=\"M:{type}.{verb}\"><summary>Quietly {verb} {things[t % things.Length]} of {type[2..]} at night.</summary><returns>The {things[(t + 1) % things.Length]}.</returns></member>");
        }

        return xml.Append("</members></doc>").ToString();
    }
}
