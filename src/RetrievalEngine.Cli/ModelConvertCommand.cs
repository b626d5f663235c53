using System;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Linq;
using System.Threading.Tasks;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Encoding;

namespace RetrievalEngine.Cli;

/// <summary><c>model convert</c>: the same tensors in another container and type.</summary>
internal static class ModelConvertCommand
{
    private const string Help = """
        Writes a checkpoint or a PEFT adapter again as safetensors: every tensor under its own name, in the type wanted, with configuration, tokenizer and contract beside it.
        Reads pytorch_model.bin and adapter_model.bin without executing anything.

        Examples:
          retrieval model convert --model bert-base-uncased --output bert-safetensors
          retrieval model convert --model runs/full --output small --dtype bfloat16
          retrieval model convert --model Llama-2-7b-hf --output shards --dtype float16 --max-shard-size 2GB
          retrieval model convert --model repllama-v1-7b-lora-passage --output adapter
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> model = new("--model") { Description = "A checkpoint or an adapter", HelpName = "DIR", Required = true };
        Option<string> output = new("--output") { Description = "The folder to make", HelpName = "DIR", Required = true };
        Option<string?> dtype = new("--dtype") { Description = "How the weights are stored: float32, float16, bfloat16; as they are unless given", HelpName = "TYPE" };
        dtype.AcceptOnlyFromAmong("float32", "float16", "bfloat16");
        Option<long> shard = new("--max-shard-size")
        {
            Description = "The largest file of weights: 500MB, 5GB",
            HelpName = "SIZE",
            DefaultValueFactory = _ => CheckpointWriter.DefaultMaxShardBytes,
            CustomParser = ParseSize,
        };
        Command command = new("convert", Help) { model, output, dtype, shard };
        command.SetAction((parsed, _) =>
        {
            string folder = parsed.GetRequiredValue(output);
            TensorSource[] tensors = [.. ModelConversion.Convert(
                parsed.GetRequiredValue(model), folder, parsed.GetValue(dtype) is { } name ? EmbeddingManifest.ParseDType(name) : null, parsed.GetValue(shard))];
            string types = string.Join(", ", tensors.GroupBy(t => t.DType).Select(g => $"{g.Count()} {g.Key}"));
            Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{folder}: {tensors.Length} tensors ({types}), {tensors.Sum(t => t.Bytes) / 1e6:F1} MB"));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static long ParseSize(ArgumentResult result)
    {
        string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
        long unit = text.EndsWith("GB", StringComparison.Ordinal) ? 1_000_000_000 : text.EndsWith("MB", StringComparison.Ordinal) ? 1_000_000 : 0;
        if (unit > 0 && int.TryParse(text.AsSpan(0, text.Length - 2), NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count > 0) return count * unit;
        result.AddError($"--max-shard-size must be a whole number of MB or GB, such as 5GB, not \"{text}\"");
        return 0;
    }
}
