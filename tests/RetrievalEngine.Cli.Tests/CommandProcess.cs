using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading.Tasks;

namespace RetrievalEngine.Cli.Tests;

/// <summary>The command as a process of its own, for what cannot be tried inside the test: signals, kills, limits.</summary>
internal static class CommandProcess
{
    private static readonly string Assembly = typeof(Program).Assembly.Location;

    /// <summary>Starts <c>retrieval <paramref name="args"/></c>.</summary>
    public static Process Start(params string[] args) => Start("dotnet", [Assembly, .. args]);

    /// <summary>Runs it to its end with some environment variables set, or taken away where the value is null.</summary>
    public static Task<CommandRun> RunAsync(Dictionary<string, string?> environment, params string[] args) =>
        EndOf(Start("dotnet", [Assembly, .. args], environment));

    /// <summary>The program that gives rights away.</summary>
    public const string SetPriv = "/usr/bin/setpriv";

    /// <summary>Runs it to its end as a user who may not do everything: the superuser becomes nobody.</summary>
    public static Task<CommandRun> RunUnprivilegedAsync(params string[] args) => EndOf(Environment.IsPrivilegedProcess
        ? Start(SetPriv, ["--reuid=65534", "--regid=65534", "--clear-groups", "dotnet", Assembly, .. args])
        : Start(args));

    private static async Task<CommandRun> EndOf(Process started)
    {
        using Process process = started;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return new CommandRun(process.ExitCode, await output, await error);
    }

    /// <summary>
    /// The same with a limit on the size of files, in the shell's blocks of 1 KiB, which fails writes as a full disk does. The runtime keeps code pages in a
    /// file in memory, which would meet the limit too, unless it is told not to.
    /// </summary>
    public static Process StartLimited(int fileBlocks, params string[] args) =>
        Start("bash", ["-c", $"trap '' XFSZ; ulimit -f {fileBlocks}; export DOTNET_EnableWriteXorExecute=0; exec \"$@\"", "bash", "dotnet", Assembly, .. args]);

    /// <summary>Runs it to its end in a memory cgroup of its own; null, with the reason, where none can be made.</summary>
    public static async Task<(CommandRun? Run, string Reason)> RunInMemoryAsync(long bytes, params string[] args)
    {
        (string root, string limit) = Directory.Exists("/sys/fs/cgroup/memory") ? ("/sys/fs/cgroup/memory", "memory.limit_in_bytes") : ("/sys/fs/cgroup", "memory.max");
        string group = Path.Combine(root, $"retrieval-test-{Environment.ProcessId}");
        try
        {
            Directory.CreateDirectory(group);
            File.WriteAllText(Path.Combine(group, limit), bytes.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return (null, $"no memory cgroup can be made here: {e.Message}");
        }

        try
        {
            return (await EndOf(Start("bash", ["-c", $"echo $$ > {group}/cgroup.procs; exec \"$@\"", "bash", "dotnet", Assembly, .. args])), "");
        }
        finally
        {
            Directory.Delete(group);
        }
    }

    private static Process Start(string program, string[] args, Dictionary<string, string?>? environment = null)
    {
        ProcessStartInfo start = new(program, args.AsEnumerable()) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach ((string name, string? value) in environment ?? []) start.Environment[name] = value;
        return Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
    }
}
