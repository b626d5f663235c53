using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;

namespace RetrievalEngine.Cli.Demo;

/// <summary>The checkpoint of <c>assets/base</c>, which the program carries so that the published file alone can run the demo.</summary>
internal static class DemoBase
{
    private const string Prefix = "base/";

    /// <summary>Writes it to <paramref name="folder"/>, unless it is there.</summary>
    /// <exception cref="InputException">This build carries none.</exception>
    public static void Extract(string folder)
    {
        if (Directory.Exists(folder)) return;
        Assembly assembly = typeof(DemoBase).Assembly;
        List<string> names = [.. assembly.GetManifestResourceNames().Where(n => n.StartsWith(Prefix, StringComparison.Ordinal))];
        if (names.Count == 0) throw new InputException("this build carries no base checkpoint: make it with assets/make-base.sh and build again");
        AtomicFile.CreateFolder(folder, partial =>
        {
            foreach (string name in names)
            {
                using Stream resource = assembly.GetManifestResourceStream(name)!;
                AtomicFile.Write(Path.Combine(partial, name[Prefix.Length..]), resource.CopyTo);
            }
        });
    }
}
