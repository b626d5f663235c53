using System;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Cli.Bench;
using RetrievalEngine.Cli.Demo;
using RetrievalEngine.Cuda;

namespace RetrievalEngine.Cli;

/// <summary>The command <c>retrieval</c>: one line a verb, and the one place where failures become exit codes.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        using StopSignal stop = new();
        return await RunAsync(args, stop.Token).ConfigureAwait(false);
    }

    /// <summary>Runs the command line <paramref name="args"/> and returns its exit code (<see cref="ExitCodes"/>).</summary>
    internal static async Task<int> RunAsync(string[] args, CancellationToken cancellation)
    {
        RootCommand root = new("Fine-tunes, encodes, indexes, searches and evaluates dense retrievers in one program.")
        {
            EncodeCommand.Create(),
            IndexCommand.Create(),
            SearchCommand.Create(),
            RerankCommand.Create(),
            ServeCommand.Create(),
            MineCommand.Create(),
            EvaluateCommand.Create(),
            CompareCommand.Create(),
            StsCommand.Create(),
            InfoCommand.Create(),
            ModelCommand.Create(),
            DevicesCommand.Create(),
            BenchCommand.Create(),
            VerifyCommand.Create(),
            TrainCommand.Create(),
            DemoCommand.Create(),
            TokenizeCommand.Create(),
        };

        VerbHelp.Install(root);
        ParseResult parsed = root.Parse(EvaluateCommand.SplitAttached(args));
        if (parsed.Errors.Count > 0 && parsed.Action is not VerbHelp)
        {
            foreach (ParseError error in parsed.Errors) await Console.Error.WriteLineAsync(error.Message).ConfigureAwait(false);
            await Console.Error.WriteLineAsync($"Try: {Verb(parsed.CommandResult)} --help").ConfigureAwait(false);
            return ExitCodes.BadInput;
        }

        try
        {
            // Ctrl-C is StopSignal's: a verb may take as long as it needs to save its state.
            InvocationConfiguration configuration = new() { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            return await parsed.InvokeAsync(configuration, cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return ExitCodes.Stopped;
        }
        catch (Exception e) when (e is InputException or IOException or UnauthorizedAccessException or CudaException)
        {
            await Console.Error.WriteLineAsync($"retrieval: {e.Message}").ConfigureAwait(false);
            return ExitCodes.BadInput;
        }
    }

    /// <summary>The verb with those above it: <c>retrieval index build</c>.</summary>
    private static string Verb(SymbolResult result) =>
        result is CommandResult { Parent: { } parent, Command.Name: { } name } ? $"{Verb(parent)} {name}" : "retrieval";
}
