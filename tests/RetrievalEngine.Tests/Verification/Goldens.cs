using System.IO;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Verification;

/// <summary>Reference outputs: two families lie in Data/goldens, the others in shared/ beside the checkout.</summary>
internal static class Goldens
{
    public static string Folder(string kind, string family)
    {
        string own = Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "goldens", kind, family);
        return Directory.Exists(own) ? own : Path.Combine(SharedFolder.Require($"goldens/{kind}"), family);
    }
}
