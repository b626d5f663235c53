using System;
using System.IO;
using NUnit.Framework;

namespace RetrievalEngine.Cli.Tests;

/// <summary>A folder of files that a test makes, removed with it.</summary>
internal sealed class TemporaryFiles : IDisposable
{
    /// <summary>The folder.</summary>
    public string Folder { get; } =
        Directory.CreateDirectory(Path.Combine(TestContext.CurrentContext.WorkDirectory, Path.GetRandomFileName())).FullName;

    /// <summary>The path of <paramref name="name"/> in the folder, which need not exist.</summary>
    public string PathOf(string name) => Path.Combine(Folder, name);

    /// <summary>Writes a file and returns its path.</summary>
    public string Write(string name, string content)
    {
        File.WriteAllText(PathOf(name), content);
        return PathOf(name);
    }

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
