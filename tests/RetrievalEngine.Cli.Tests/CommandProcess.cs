using System;
using System.Diagnostics;
using System.Linq;

namespace RetrievalEngine.Cli.Tests;

/// <summary>The command as a process of its own, for what cannot be tried inside the test: signals, kills, limits.</summary>
internal static class CommandProcess
{
    private static readonly string Assembly = typeof(Program).Assembly.Location;

    /// <summary>Starts <c>retrieval <paramref name="args"/></c>.</summary>
    public static Process Start(params string[] args) => Start("dotnet", [Assembly, .. args]);

    /// <summary>
    /// The same with a limit on the size of files, in the shell's blocks of 1 KiB, which fails writes as a full disk does. The runtime keeps code pages in a
    /// file in memory, which would meet the limit too, unless it is told not to.
    /// </summary>
    public static Process StartLimited(int fileBlocks, params string[] args) =>
        Start("bash", ["-c", $"trap '' XFSZ; ulimit -f {fileBlocks}; export DOTNET_EnableWriteXorExecute=0; exec \"$@\"", "bash", "dotnet", Assembly, .. args]);

    private static Process Start(string program, string[] args)
    {
        ProcessStartInfo start = new(program, args.AsEnumerable()) { RedirectStandardOutput = true, RedirectStandardError = true };
        return Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
    }
}
