using System;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;

namespace RetrievalEngine.Cli.Tests;

/// <summary>What a command line printed and how it ended.</summary>
internal sealed record CommandRun(int ExitCode, string Output, string Error)
{
    /// <summary>Runs <c>retrieval <paramref name="args"/></c> in this process.</summary>
    public static async Task<CommandRun> Of(params string[] args)
    {
        TextWriter output = Console.Out, error = Console.Error;
        using StringWriter newOutput = new(), newError = new();
        Console.SetOut(newOutput);
        Console.SetError(newError);
        try
        {
            int exitCode = await Program.RunAsync(args, CancellationToken.None);
            return new CommandRun(exitCode, newOutput.ToString(), newError.ToString());
        }
        finally
        {
            Console.SetOut(output);
            Console.SetError(error);
        }
    }

    /// <summary>The same without progress, which must end well and without a word on standard error.</summary>
    public static async Task<CommandRun> Done(params string[] args)
    {
        CommandRun run = await Of([.. args, "--quiet"]);
        Assert.That((run.ExitCode, run.Error), Is.EqualTo((ExitCodes.Done, "")));
        return run;
    }

    /// <summary>The same, which must be refused in one sentence that has <paramref name="expected"/> in it.</summary>
    public static async Task Refused(string expected, params string[] args)
    {
        CommandRun run = await Of([.. args, "--quiet"]);
        Assert.That(run.ExitCode, Is.EqualTo(ExitCodes.BadInput), run.Error);
        Assert.That(run.Error, Does.StartWith("retrieval: ").And.Contain(expected));
        Assert.That((run.Error.Trim().Split('\n').Length, run.Output), Is.EqualTo((1, "")));
    }
}
