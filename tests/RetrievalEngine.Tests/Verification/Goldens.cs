using System.IO;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Verification;

/// <summary>Reference outputs: two families lie in Data/goldens, the others in shared/ beside the checkout.</summary>
internal static class Goldens
{
    public static readonly string[] Families =
    [
        "llama2", "llama3", "mistral", "qwen1.5", "qwen3", "gemma", "gemma2", "phi1.5", "bert", "roberta", "xlm-roberta", "modernbert", "t5-v1.0", "t5-v1.1",
    ];

    public static string Folder(string kind, string family)
    {
        string own = Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "goldens", kind, family);
        return Directory.Exists(own) ? own : Path.Combine(SharedFolder.Require($"goldens/{kind}"), family);
    }
}
