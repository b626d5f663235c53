using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace RetrievalEngine.Tests.Architecture;

/// <summary>
/// Who may use whom (design §2). Projects: Compute ← RetrievalEngine ← Server ← Cli, Compute ← Cuda ← Cli; HTTP is the server's. Inside RetrievalEngine the folders are namespaces
/// with the edges below;
/// everything may use the root namespace and Compute. Each violation is one sentence that names file and edge.
/// </summary>
internal static partial class ArrowChecker
{
    private const string Library = "src/RetrievalEngine/";

    private static readonly Dictionary<string, string[]> ProjectEdges = new()
    {
        ["RetrievalEngine.Compute"] = [],
        ["RetrievalEngine"] = ["RetrievalEngine.Compute"],
        ["RetrievalEngine.Cuda"] = ["RetrievalEngine.Compute"],
        ["RetrievalEngine.Server"] = ["RetrievalEngine"],
        ["RetrievalEngine.Cli"] = ["RetrievalEngine", "RetrievalEngine.Server", "RetrievalEngine.Compute", "RetrievalEngine.Cuda"],
    };

    private static readonly Dictionary<string, string[]> NamespaceEdges = new()
    {
        [""] = [],
        ["Text"] = [],
        ["Evaluation"] = [],
        ["Search"] = [],
        ["Data"] = ["Text", "Evaluation"],
        ["Checkpoints"] = [],
        ["Models"] = ["Checkpoints", "Text"],
        ["Encoding"] = ["Text", "Data", "Checkpoints", "Models", "Search"],
        ["Indexing"] = ["Text", "Checkpoints", "Encoding", "Search"],
        ["Reranking"] = ["Text", "Data", "Evaluation", "Models", "Encoding", "Checkpoints"],
        ["Training"] = ["Data", "Encoding", "Reranking", "Indexing", "Models", "Checkpoints", "Text", "Search", "Evaluation"],
        ["Verification"] = ["Text", "Evaluation", "Search", "Data", "Checkpoints", "Models", "Encoding", "Training"],
    };

    /// <summary>Every way in which <paramref name="files"/> break the arrows.</summary>
    public static IEnumerable<string> Violations(IReadOnlyList<SourceFile> files)
    {
        // Where a type lives, so that a half-qualified `Data.Corpus` counts as an edge and a property `Data.Length` does not.
        HashSet<string> types = [.. files.Where(f => f.Path.StartsWith(Library, StringComparison.Ordinal))
            .SelectMany(f => TypeDeclaration().Matches(f.Code).Select(m => $"{Folder(f)}.{m.Groups[1].Value}"))];
        return files.SelectMany(f => Violations(f, types));
    }

    /// <summary>Every project reference of <paramref name="project"/> that is not allowed.</summary>
    public static IEnumerable<string> ProjectViolations(string project, string csproj)
    {
        if (!ProjectEdges.TryGetValue(project, out string[]? allowed))
        {
            yield return $"{project}: a project that the list of arrows does not know; add it there with its edges";
            yield break;
        }

        XElement root = XElement.Parse(csproj);
        foreach (XElement reference in root.Descendants("ProjectReference"))
        {
            string target = System.IO.Path.GetFileNameWithoutExtension(((string?)reference.Attribute("Include") ?? "").Replace('\\', '/'));
            if (!allowed.Contains(target)) yield return $"{project}: references {target}, which is against the arrows";
        }

        foreach (XElement package in root.Descendants("PackageReference"))
        {
            string name = (string?)package.Attribute("Include") ?? "";
            if (project != "RetrievalEngine.Cli" && ConsoleNamespaces.Any(n => name.StartsWith(n, StringComparison.Ordinal)))
                yield return $"{project}: package {name} belongs to RetrievalEngine.Cli alone";
        }

        if (!BackendProjects.Contains(project) && root.Descendants("AllowUnsafeBlocks").Any(e => e.Value == "true"))
            yield return $"{project}: AllowUnsafeBlocks belongs to {string.Join(" and ", BackendProjects)} alone";
    }

    private static readonly string[] ConsoleNamespaces = ["System.CommandLine", "Spectre."];

    private static readonly string[] BackendProjects = ["RetrievalEngine.Compute", "RetrievalEngine.Cuda"];

    private static readonly string[] UnsafeFolders = ["src/RetrievalEngine.Compute/Cpu/", "src/RetrievalEngine.Cuda/"];

    private static IEnumerable<string> Violations(SourceFile file, HashSet<string> types)
    {
        string[] parts = file.Path.Split('/');
        string project = parts[1], expected = string.Join('.', parts[1..^1]);
        foreach (Match m in NamespaceDeclaration().Matches(file.Code))
            if (m.Groups[1].Value != expected) yield return $"{file.Path}: namespace {m.Groups[1].Value} is not its folder ({expected})";

        if (project != "RetrievalEngine.Cli")
        {
            if (ConsoleUse().Match(file.Code) is { Success: true } m)
                yield return $"{file.Path}: {m.Value} belongs to RetrievalEngine.Cli alone";
            if (!BackendProjects.Contains(project) && BackendName().Match(file.Code) is { Success: true } backend)
                yield return $"{file.Path}: names {backend.Value}; only RetrievalEngine.Cli chooses a backend";
        }

        if (project != "RetrievalEngine.Server" && HttpUse().Match(file.Code) is { Success: true } http)
            yield return $"{file.Path}: {http.Value} belongs to RetrievalEngine.Server alone";

        if (UnsafeCode().IsMatch(file.Code) && !UnsafeFolders.Any(folder => file.Path.StartsWith(folder, StringComparison.Ordinal)))
            yield return $"{file.Path}: unsafe code belongs in {string.Join(" and ", UnsafeFolders)} alone";

        string[] below = project == "RetrievalEngine.Compute" ? ["Compute", ""] : ["Compute", "Cuda", ""];
        if (BackendProjects.Contains(project) && EngineName().Matches(file.Code).Any(m => !below.Contains(m.Groups[1].Value)))
            yield return $"{file.Path}: {project} uses a namespace above it";

        if (!file.Path.StartsWith(Library, StringComparison.Ordinal)) yield break;
        string from = Folder(file);
        if (!NamespaceEdges.TryGetValue(from, out string[]? allowed))
        {
            yield return $"{file.Path}: namespace {from} is unknown to the list of arrows; add it there with its edges";
            yield break;
        }

        foreach (string to in Targets(file, types).Distinct())
            if (to != from && !allowed.Contains(to)) yield return $"{file.Path}: {(from.Length == 0 ? "the root" : from)} → {to} is no allowed arrow";
    }

    /// <summary>The folders of the library that a file uses, whether by a using line, a full name, or a name that starts at the root namespace.</summary>
    private static IEnumerable<string> Targets(SourceFile file, HashSet<string> types)
    {
        foreach (Match m in EngineName().Matches(file.Code))
        {
            string top = m.Groups[1].Value;
            if (top is "" or "Compute" || top == Folder(file)) continue;
            // RetrievalEngine.InputException is a type of the root, not a namespace.
            if (!types.Contains($".{top}")) yield return top;
        }

        foreach (Match m in HalfQualified().Matches(file.Code))
            if (NamespaceEdges.ContainsKey(m.Groups[1].Value) && types.Contains(m.Value)) yield return m.Groups[1].Value;
    }

    private static string Folder(SourceFile file)
    {
        string[] parts = file.Path.Split('/');
        return parts.Length > 3 ? parts[2] : "";
    }

    [GeneratedRegex(@"^\s*namespace\s+([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex NamespaceDeclaration();

    [GeneratedRegex(@"\b(?:class|struct|record|interface|enum)\s+(?!struct\b|class\b)(\w+)")]
    private static partial Regex TypeDeclaration();

    [GeneratedRegex(@"\bRetrievalEngine\b(?:\s*\.\s*(\w+))?")]
    private static partial Regex EngineName();

    [GeneratedRegex(@"(?<![\w.])([A-Z]\w*)\.[A-Z]\w*")]
    private static partial Regex HalfQualified();

    [GeneratedRegex(@"\bSystem\.CommandLine\b|\bSpectre\.\w+|(?<![\w.])(?:System\.)?Console\.\w+")]
    private static partial Regex ConsoleUse();

    [GeneratedRegex(@"\bMicrosoft\.AspNetCore\b|\bSystem\.Net\.Http\b")]
    private static partial Regex HttpUse();

    [GeneratedRegex(@"\b(?:Cpu|Cuda)Backend\b")]
    private static partial Regex BackendName();

    [GeneratedRegex(@"\bunsafe\b")]
    private static partial Regex UnsafeCode();
}
