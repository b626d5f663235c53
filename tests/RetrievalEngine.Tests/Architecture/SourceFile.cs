using System.Collections.Generic;
using System.IO;
using System.Text.RegularExpressions;

namespace RetrievalEngine.Tests.Architecture;

/// <summary>One C# file of <c>src/</c>: its path with forward slashes, relative to the repository, and its code without comments and literals.</summary>
internal sealed partial record SourceFile(string Path, string Code)
{
    public static SourceFile Parse(string path, string text) => new(path.Replace('\\', '/'), CommentsAndLiterals().Replace(text, "\"\""));

    /// <summary>The repository's root: the folder above the test that holds the solution.</summary>
    public static string Root(string start)
    {
        for (DirectoryInfo? d = new(start); d is not null; d = d.Parent)
            if (File.Exists(System.IO.Path.Combine(d.FullName, "RetrievalEngine.sln"))) return d.FullName;
        throw new DirectoryNotFoundException($"no RetrievalEngine.sln above {start}");
    }

    public static IReadOnlyList<SourceFile> ReadAll(string root)
    {
        List<SourceFile> files = [];
        foreach (string path in Directory.EnumerateFiles(System.IO.Path.Combine(root, "src"), "*.cs", SearchOption.AllDirectories))
            files.Add(Parse(System.IO.Path.GetRelativePath(root, path), File.ReadAllText(path)));
        return files;
    }

    // Raw strings first (any number of quotes), then verbatim, then ordinary strings, characters and both kinds of comment.
    [GeneratedRegex("""(?<q>"{3,}).*?\k<q>|\$?@\$?"(?:[^"]|"")*"|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.[^']*)'|//[^\n]*|/\*.*?\*/""", RegexOptions.Singleline)]
    private static partial Regex CommentsAndLiterals();
}
