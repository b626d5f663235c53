using System.IO;
using NUnit.Framework;

namespace RetrievalEngine.TestKit;

/// <summary>The folder <c>shared</c> beside the checkout: goldens and real data that are never committed.</summary>
public static class SharedFolder
{
    /// <summary>The path of <c>../shared/<paramref name="relative"/></c>; the test is ignored, saying why, where it is absent.</summary>
    public static string Require(string relative)
    {
        for (DirectoryInfo? d = new(TestContext.CurrentContext.TestDirectory); d is not null; d = d.Parent)
        {
            string path = Path.Combine(d.FullName, "shared", relative);
            if (Directory.Exists(path) || File.Exists(path)) return path;
        }

        Assert.Ignore($"shared/{relative} is not beside this checkout");
        return "";
    }
}
