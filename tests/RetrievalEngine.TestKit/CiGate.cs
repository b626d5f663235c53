using System;
using NUnit.Framework;

namespace RetrievalEngine.TestKit;

/// <summary>What may be missing on somebody's machine but not in CI, where .ci/run gets the tools.</summary>
public static class CiGate
{
    /// <summary>What .ci/run could not download; unset otherwise.</summary>
    private const string DownloadFailedVariable = "RETRIEVAL_DOWNLOAD_FAILED";

    /// <summary>Ignores the test with <paramref name="reason"/>; in CI that is a failure unless a download failed.</summary>
    public static void SkipOrFail(string reason)
    {
        string? failed = Environment.GetEnvironmentVariable(DownloadFailedVariable);
        if (Environment.GetEnvironmentVariable("CI") == "true" && string.IsNullOrEmpty(failed)) Assert.Fail($"{reason} (in CI it must be there)");
        Assert.Ignore(string.IsNullOrEmpty(failed) ? reason : failed);
    }
}
