using System;
using System.CommandLine;
using System.Globalization;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;
using RetrievalEngine.Models;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>encode</c>: texts into a folder of vectors.</summary>
internal static class EncodeCommand
{
    private const string Help = """
        Turns a corpus (or, with --query, queries) into a folder of vectors.

        Examples:
          retrieval encode --model all-MiniLM-L6-v2 --input scifact/corpus.jsonl --output emb/scifact
          retrieval encode --model Qwen2-0.5B --adapter runs/lora --input corpus.jsonl --output emb/corpus --store-dtype float16
          retrieval encode --model Qwen2-0.5B --adapter runs/lora --input queries.jsonl --query --output emb/queries

        How a text becomes a vector (prefixes, lengths, pooling, normalisation) is what training wrote beside the adapter or model, else what the
        sentence-transformers folder says; of a plain decoder it is the last token, with EOS appended, of a plain encoder the mean of all tokens.
        Options change it; it is recorded with the vectors. They are written in shards: a run that was stopped (Ctrl-C, kill, full disk) goes on
        when the same command is given again, and ends with the same bytes.
        Input: JSON lines {"_id", "title", "text"} (BEIR), {"docid", "title", "text"} (Tevatron), {"id", "contents"} (Pyserini), lines id⇥text, or a
        folder with corpus.jsonl.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> model = CommonOptions.Model();
        model.Required = true;
        Option<string?> adapter = CommonOptions.Adapter();
        Option<string> input = new("--input") { Description = "File or folder with the texts", HelpName = "PATH", Required = true };
        Option<string> output = new("--output", "--encode-output-path")
        {
            Description = "Folder to write; new, or an unfinished run of the same",
            HelpName = "DIR",
            Required = true,
        };
        Option<bool> query = new("--query", "--encode-is-query") { Description = "The input holds queries, not passages" };
        Option<string> storeDType = new("--store-dtype")
        {
            Description = "Type of the stored numbers: float32, float16, bfloat16",
            HelpName = "TYPE",
            DefaultValueFactory = _ => "float32",
        };
        storeDType.AcceptOnlyFromAmong("float32", "float16", "bfloat16");
        Option<int?> batchTokens = CommonOptions.Count(
            "--batch-tokens", $"Most tokens of a batch (default {TextEncoder.DefaultBatchTokens}); it does not change the vectors");
        Option<int?> rowsPerShard =
            CommonOptions.Count("--rows-per-shard", $"Vectors of a shard (default {EncodeOptions.DefaultRowsPerShard}): the most that a kill costs");
        ContractOptions contract = new();
        BackendSelection device = new();
        Option<bool> quiet = CommonOptions.Quiet();
        Option<bool> json = CommonOptions.Json();
        Command command = new("encode", Help) { model, adapter, input, output, query, storeDType, batchTokens, rowsPerShard };
        foreach (Option option in contract.All) command.Add(option);
        foreach (Option option in device.All) command.Add(option);
        command.Add(quiet);
        command.Add(json);
        command.SetAction((parsed, stop) =>
        {
            EncodeOptions options = new()
            {
                Model = parsed.GetRequiredValue(model),
                Adapter = parsed.GetValue(adapter),
                Input = parsed.GetRequiredValue(input),
                Output = parsed.GetRequiredValue(output),
                Side = parsed.GetValue(query) ? EncodingSide.Query : EncodingSide.Passage,
                DType = EmbeddingManifest.ParseDType(parsed.GetRequiredValue(storeDType))!.Value,
                BatchTokens = parsed.GetValue(batchTokens) ?? TextEncoder.DefaultBatchTokens,
                RowsPerShard = parsed.GetValue(rowsPerShard) ?? EncodeOptions.DefaultRowsPerShard,
                Overrides = contract.Read(parsed),
            };
            using IBackend backend = device.Create(parsed, parsed.GetValue(quiet));
            return Task.FromResult(Run(backend, options, parsed.GetValue(quiet), parsed.GetValue(json), stop));
        });
        return command;
    }

    private static int Run(IBackend backend, EncodeOptions options, bool quiet, bool json, CancellationToken stop)
    {
        AdapterConfig? adapter = options.Adapter is null ? null : AdapterConfig.Load(options.Adapter);
        MemoryReport.Check(backend, quiet, () => MemoryPlan.Of(backend, options.Model, adapter, options.BatchTokens));
        EncodeSummary summary = ProgressDisplay.Run(quiet, progress => CorpusEncoder.Run(backend, options, progress, stop));
        EmbeddingManifest manifest = summary.Manifest;
        if (!quiet) Warn(manifest, ModelConfig.Load(options.Model));
        if (json)
        {
            JsonOutput.Print(writer =>
            {
                writer.WriteString("output", options.Output);
                writer.WriteString("backend", backend.Name);
                writer.WriteNumber("rows", manifest.Rows);
                writer.WriteNumber("dimensions", manifest.Contract.Dimensions);
                writer.WriteString("dtype", EmbeddingManifest.DTypeName(manifest.DType));
                writer.WriteNumber("tokens", manifest.Tokens);
                writer.WriteNumber("truncated", manifest.Truncated);
                writer.WriteNumber("empty", manifest.Empty);
                writer.WriteNumber("encoded_rows", summary.EncodedRows);
                writer.WriteNumber("encoded_tokens", summary.EncodedTokens);
                writer.WriteNumber("seconds", summary.Seconds);
            });
            return ExitCodes.Done;
        }

        string result = $"{manifest.Describe()} in {options.Output}";
        if (summary.EncodedRows == 0)
        {
            Console.Out.WriteLine($"already complete: {result}");
            return ExitCodes.Done;
        }

        string before = summary.EncodedRows < manifest.Rows
            ? string.Create(CultureInfo.InvariantCulture, $" ({manifest.Rows - summary.EncodedRows:N0} were there before)")
            : "";
        Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{result}{before}; {summary.EncodedRows:N0} texts, {summary.EncodedTokens:N0} tokens in {summary.Seconds:F1} s on {backend.Name}"));
        return ExitCodes.Done;
    }

    private static void Warn(EmbeddingManifest manifest, ModelConfig config)
    {
        if (config.UnknownFields.Count > 0)
            Console.Error.WriteLine(
                $"warning: config.json has fields that are not known here and not applied: {string.Join(", ", config.UnknownFields)}");
        EncodingContract contract = manifest.Contract;
        int longest = contract.MaxLength(manifest.Side);
        if (manifest.Truncated > 0)
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"warning: {manifest.Truncated:N0} of {manifest.Rows:N0} texts are longer than {longest} tokens and were truncated"));
        if (manifest.Empty > 0)
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"warning: {manifest.Empty:N0} of {manifest.Rows:N0} texts are empty; their vectors stand for the special tokens alone"));
    }
}
