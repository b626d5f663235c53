using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;

namespace RetrievalEngine.Cli.Demo;

/// <summary>Finds the XML documentation that every .NET SDK carries: <c>packs/Microsoft.NETCore.App.Ref/VERSION/ref/netX.Y/*.xml</c>.</summary>
internal static class SdkDocumentation
{
    private const string Pack = "packs/Microsoft.NETCore.App.Ref";

    /// <summary>The documentation files of the newest SDK found, by name.</summary>
    /// <exception cref="InputException">No SDK is on this machine.</exception>
    public static string[] Find()
    {
        List<string> roots = [.. Roots().Distinct()];
        foreach (string root in roots)
        {
            string? newest = Newest(Path.Combine(root, Pack));
            string? target = newest is null ? null : Newest(Path.Combine(newest, "ref"));
            if (target is not null && FilesOf(target) is { Length: > 0 } files) return files;
        }

        throw new InputException($"the demo's text is the documentation in the .NET SDK, and {Pack} is in none of {string.Join(", ", roots)}; "
            + "install the .NET SDK, set DOTNET_ROOT, or name a folder of XML documentation with --documentation");
    }

    /// <summary>The documentation files in <paramref name="folder"/>, by name.</summary>
    /// <exception cref="InputException">The folder is missing or holds none.</exception>
    public static string[] In(string folder)
    {
        if (!Directory.Exists(folder)) throw new InputException($"{folder}: the folder of --documentation does not exist");
        return FilesOf(folder) is { Length: > 0 } files ? files : throw new InputException($"{folder}: holds no XML documentation (*.xml)");
    }

    private static string[] FilesOf(string folder)
    {
        string[] files = Directory.GetFiles(folder, "*.xml");
        Array.Sort(files, StringComparer.Ordinal);
        return files;
    }

    private static IEnumerable<string> Roots()
    {
        if (Environment.GetEnvironmentVariable("DOTNET_ROOT") is { Length: > 0 } named) yield return named;
        // The runtime of this process lies in ROOT/shared/Microsoft.NETCore.App/VERSION/, unless the program is self-contained.
        if (Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..")) is var running && Directory.Exists(Path.Combine(running, "shared")))
            yield return running;
        string program = OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet";
        foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
        {
            FileInfo file = new(Path.Combine(folder, program));
            if (file.Exists && Path.GetDirectoryName(file.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? file.FullName) is { } root) yield return root;
        }

        if (OperatingSystem.IsWindows()) yield return Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ProgramFiles), "dotnet");
        else foreach (string root in (string[])["/usr/share/dotnet", "/usr/lib/dotnet", "/usr/local/share/dotnet"]) yield return root;
    }

    /// <summary>The subfolder whose name is the highest version (<c>10.0.12</c>, <c>net10.0</c>), or null.</summary>
    private static string? Newest(string folder) =>
        !Directory.Exists(folder) ? null : Directory.GetDirectories(folder).MaxBy(d => Version.TryParse(Path.GetFileName(d).Replace("net", "", StringComparison.Ordinal).Split('-')[0], out Version? v) ? v : new Version(0, 0));
}
