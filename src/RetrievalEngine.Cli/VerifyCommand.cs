using System;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using RetrievalEngine.Compute;
using RetrievalEngine.Verification;

namespace RetrievalEngine.Cli;

/// <summary><c>retrieval verify PATH</c>: proof against reference outputs.</summary>
internal static class VerifyCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        Argument<string> path = new("PATH")
        {
            Description = "A folder with reference outputs, or a tree of them: a model with expected.safetensors, a training with recipe.json, a tokenizer with cases.jsonl, "
                + "metrics with expected.jsonl (the layout of goldens/).",
        };
        Option<bool> json = new("--json") { Description = "One JSON object a line instead of a table." };
        BackendSelection device = new(DType.F32);
        Command command = new("verify",
            """
            Compares what this program computes with what reference implementations computed: hidden states, losses, gradients, optimiser steps, token ids, metrics.
            One line for each comparison; the last line counts ok, failed and skipped. Exit code 0: something ran, and nothing failed or was skipped; 1: something failed;
            3: nothing failed, but something was skipped.
            Run it in float32 to prove a machine. In bfloat16 the goldens' small random models fail some comparisons wherever they are computed:
            docs/decisions.md lists how far rounding alone, PyTorch and this program are off.

            Example: retrieval verify ../shared/goldens/models/llama2
            """)
        {
            path, json,
        };
        foreach (Option option in device.All) command.Add(option);
        command.SetAction(parsed =>
        {
            using IBackend backend = device.Create(parsed, quiet: false);
            return Run(backend, parsed.GetValue(path)!, parsed.GetValue(json));
        });
        return command;
    }

    private static int Run(IBackend backend, string path, bool json)
    {
        int ok = 0, failed = 0, skipped = 0;
        foreach (VerificationItem item in new Verifier(backend, BackendSelection.Tolerances(backend)).Verify(path))
        {
            (ok, failed, skipped) = item.Outcome switch
            {
                VerificationOutcome.Ok => (ok + 1, failed, skipped),
                VerificationOutcome.Failed => (ok, failed + 1, skipped),
                _ => (ok, failed, skipped + 1),
            };
            Console.Out.WriteLine(json ? Json(item) : Text(item));
        }

        Console.Out.WriteLine(json
            ? string.Create(CultureInfo.InvariantCulture, $"{{\"ok\":{ok},\"failed\":{failed},\"skipped\":{skipped}}}")
            : string.Create(CultureInfo.InvariantCulture, $"{ok} ok, {failed} failed, {skipped} skipped"));
        if (failed > 0) return ExitCodes.CheckFailed;
        if (ok == 0 && skipped == 0) throw new InputException($"{path}: nothing here to verify; name a folder in the layout of goldens");
        return skipped > 0 ? ExitCodes.OnlySkipped : ExitCodes.Done;
    }

    private static string Text(VerificationItem item) => item.Outcome == VerificationOutcome.Skipped
        ? $"skipped  {item.Item}: {item.Note}"
        : string.Create(CultureInfo.InvariantCulture,
            $"{(item.Outcome == VerificationOutcome.Ok ? "ok     " : "FAILED ")}  {item.Item}  {item.Measure}  error {item.Error:G3}  tolerance {item.Tolerance:G3}{(item.Note is null ? "" : $"  ({item.Note})")}");

    private static string Json(VerificationItem item) => JsonSerializer.Serialize(new
    {
        item = item.Item,
        measure = item.Measure,
        error = double.IsFinite(item.Error) ? item.Error : (double?)null,
        tolerance = item.Tolerance,
        outcome = item.Outcome switch { VerificationOutcome.Ok => "ok", VerificationOutcome.Failed => "failed", _ => "skipped" },
        note = item.Note,
    });
}
