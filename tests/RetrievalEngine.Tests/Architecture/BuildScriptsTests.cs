using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace RetrievalEngine.Tests.Architecture;

/// <summary>build.sh and build.ps1 are twins: the same verbs, described in the same words.</summary>
internal sealed partial class BuildScriptsTests
{
    private static readonly string Root = SourceFile.Root(TestContext.CurrentContext.TestDirectory);

    [Test]
    public void Scripts_DescribeTheSameVerbs()
    {
        string[] bash = Usage("build.sh"), powerShell = Usage("build.ps1");
        Assert.That(bash, Is.EqualTo(new[] { "[build]", "test", "demo", "bench", "publish", "format", "clean" }));
        Assert.That(powerShell, Is.EqualTo(bash));
    }

    [Test]
    public void Scripts_CallTheSameDotnetCommands() => Assert.That(DotnetCommands("build.ps1"), Is.EquivalentTo(DotnetCommands("build.sh")));

    private static string[] Usage(string script) =>
        [.. File.ReadLines(Path.Combine(Root, script)).Select(l => UsageLine().Match(l)).Where(m => m.Success).Select(m => m.Groups[1].Value)];

    /// <summary>Each call of dotnet reduced to its verb and options, which both shells write alike.</summary>
    private static HashSet<string> DotnetCommands(string script)
    {
        HashSet<string> commands = [];
        foreach (string line in File.ReadLines(Path.Combine(Root, script)).Where(l => !l.TrimStart().StartsWith('#')))
            foreach (Match m in DotnetCall().Matches(line)) commands.Add($"{m.Groups[1].Value} {string.Join(' ', Option().Matches(m.Groups[2].Value).Select(o => o.Value))}");
        return commands;
    }

    [GeneratedRegex(@"^#\s+\./build\.\w+ (\S+)")]
    private static partial Regex UsageLine();

    [GeneratedRegex(@"\bdotnet (restore|build|publish|test|format|run)\b([^;&}]*)")]
    private static partial Regex DotnetCall();

    [GeneratedRegex(@"(?<=\s)--?[a-zA-Z][\w:=.-]*(?= |$)")]
    private static partial Regex Option();
}
