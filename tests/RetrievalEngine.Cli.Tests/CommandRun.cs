using System;
using System.IO;
using System.Threading;
using System.Threading.Tasks;

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
}
