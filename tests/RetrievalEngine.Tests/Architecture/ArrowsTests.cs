using System.Collections.Generic;
using System.IO;
using System.Linq;
using NUnit.Framework;

namespace RetrievalEngine.Tests.Architecture;

internal sealed class ArrowsTests
{
    private static readonly string Root = SourceFile.Root(TestContext.CurrentContext.TestDirectory);

    [Test]
    public void Sources_KeepTheArrows()
    {
        IReadOnlyList<SourceFile> files = SourceFile.ReadAll(Root);
        Assert.That(files, Has.Count.GreaterThan(20));
        Assert.That(ArrowChecker.Violations(files), Is.Empty);
    }

    [Test]
    public void Projects_KeepTheArrows()
    {
        string[] projects = Directory.GetFiles(Path.Combine(Root, "src"), "*.csproj", SearchOption.AllDirectories);
        Assert.That(projects, Is.Not.Empty);
        Assert.That(projects.SelectMany(p => ArrowChecker.ProjectViolations(Path.GetFileNameWithoutExtension(p), File.ReadAllText(p))), Is.Empty);
    }

    [TestCase("src/RetrievalEngine/Search/A.cs", "using RetrievalEngine.Data;\nnamespace RetrievalEngine.Search;", "Search → Data")]
    [TestCase("src/RetrievalEngine/Search/A.cs", "using static RetrievalEngine.Data.Corpus;", "Search → Data")]
    [TestCase("src/RetrievalEngine/Search/A.cs", "class A { RetrievalEngine.Models.Bert? b; }", "Search → Models")]
    [TestCase("src/RetrievalEngine/Text/A.cs", "class A { Data.Corpus? c; }", "Text → Data")]
    [TestCase("src/RetrievalEngine/A.cs", "using RetrievalEngine.Text;", "the root → Text")]
    [TestCase("src/RetrievalEngine/Models/Deep/A.cs", "using RetrievalEngine.Training;", "Models → Training")]
    [TestCase("src/RetrievalEngine/Elsewhere/A.cs", "", "Elsewhere is unknown")]
    [TestCase("src/RetrievalEngine/Text/A.cs", "namespace RetrievalEngine.Data;", "is not its folder")]
    [TestCase("src/RetrievalEngine/Text/A.cs", "class A { void F() => Console.WriteLine(); }", "Cli alone")]
    [TestCase("src/RetrievalEngine/Text/A.cs", "using Spectre.Console;", "Cli alone")]
    [TestCase("src/RetrievalEngine/Text/A.cs", "unsafe class A { }", "unsafe code")]
    [TestCase("src/RetrievalEngine.Compute/A.cs", "unsafe class A { }", "unsafe code")]
    [TestCase("src/RetrievalEngine.Compute/A.cs", "using RetrievalEngine.Text;", "above it")]
    [TestCase("src/RetrievalEngine.Compute/A.cs", "using RetrievalEngine.Cuda;", "above it")]
    [TestCase("src/RetrievalEngine.Cuda/A.cs", "using RetrievalEngine.Text;", "above it")]
    [TestCase("src/RetrievalEngine.Cuda/A.cs", "class A { void F() => Console.WriteLine(); }", "Cli alone")]
    [TestCase("src/RetrievalEngine/Encoding/A.cs", "class A { object b = new CpuBackend(); }", "chooses a backend")]
    [TestCase("src/RetrievalEngine.Server/A.cs", "class A { object b = new CpuBackend(); }", "chooses a backend")]
    [TestCase("src/RetrievalEngine.Server/A.cs", "class A { void F() => Console.WriteLine(); }", "Cli alone")]
    [TestCase("src/RetrievalEngine.Cli/A.cs", "using Microsoft.AspNetCore.Http;", "Server alone")]
    [TestCase("src/RetrievalEngine/Encoding/A.cs", "class A { object b = new CudaBackend(); }", "chooses a backend")]
    public void Violations_BadFile_AreNamed(string path, string text, string expected)
    {
        SourceFile corpus = SourceFile.Parse("src/RetrievalEngine/Data/Corpus.cs", "namespace RetrievalEngine.Data;\npublic sealed record Corpus;");
        Assert.That(ArrowChecker.Violations([corpus, SourceFile.Parse(path, text)]), Has.One.Contains(expected).And.All.StartsWith(path));
    }

    [TestCase("src/RetrievalEngine/Training/A.cs", "using RetrievalEngine.Data;\nusing RetrievalEngine.Compute;\nnamespace RetrievalEngine.Training;")]
    [TestCase("src/RetrievalEngine/Text/A.cs", "class A { string Data = \"\"; int N => Data.Length; } // unsafe RetrievalEngine.Training, Console.Out")]
    [TestCase("src/RetrievalEngine/Text/A.cs", "class A { string s = \"using RetrievalEngine.Models; // \" + @\"unsafe \"\" \" + \"\"\"Console.Out \"q\" \"\"\"; }")]
    [TestCase("src/RetrievalEngine/Search/A.cs", "class A { void F() => throw new RetrievalEngine.Corpora(); }")]
    [TestCase("src/RetrievalEngine.Cli/A.cs", "using System.CommandLine;\nusing RetrievalEngine.Compute.Cpu;\nclass A { object b = new CpuBackend(); }")]
    [TestCase("src/RetrievalEngine.Compute/Cpu/A.cs", "unsafe class A { }")]
    [TestCase("src/RetrievalEngine.Cuda/Driver/A.cs", "using RetrievalEngine.Compute;\nusing RetrievalEngine.Cuda;\nunsafe class A { }")]
    public void Violations_GoodFile_HasNone(string path, string text)
    {
        SourceFile root = SourceFile.Parse("src/RetrievalEngine/Corpora.cs", "namespace RetrievalEngine;\npublic sealed class Corpora;");
        SourceFile corpus = SourceFile.Parse("src/RetrievalEngine/Data/Corpus.cs", "namespace RetrievalEngine.Data;\npublic sealed record Corpus;");
        Assert.That(ArrowChecker.Violations([root, corpus, SourceFile.Parse(path, text)]), Is.Empty);
    }

    [TestCase("RetrievalEngine.Compute", "<ProjectReference Include=\"../RetrievalEngine/RetrievalEngine.csproj\" />", "against the arrows")]
    [TestCase("RetrievalEngine", "<ProjectReference Include=\"..\\RetrievalEngine.Cli\\RetrievalEngine.Cli.csproj\" />", "against the arrows")]
    [TestCase("RetrievalEngine", "<ProjectReference Include=\"../RetrievalEngine.Cuda/RetrievalEngine.Cuda.csproj\" />", "against the arrows")]
    [TestCase("RetrievalEngine.Cuda", "<ProjectReference Include=\"../RetrievalEngine/RetrievalEngine.csproj\" />", "against the arrows")]
    [TestCase("RetrievalEngine.Server", "<ProjectReference Include=\"../RetrievalEngine.Cuda/RetrievalEngine.Cuda.csproj\" />", "against the arrows")]
    [TestCase("RetrievalEngine", "<PackageReference Include=\"Spectre.Console\" />", "Cli alone")]
    [TestCase("RetrievalEngine", "<AllowUnsafeBlocks>true</AllowUnsafeBlocks>", "alone")]
    [TestCase("RetrievalEngine.Other", "", "does not know")]
    public void ProjectViolations_BadProject_AreNamed(string project, string item, string expected) =>
        Assert.That(ArrowChecker.ProjectViolations(project, $"<Project><ItemGroup>{item}</ItemGroup></Project>"), Has.One.Contains(expected));
}
