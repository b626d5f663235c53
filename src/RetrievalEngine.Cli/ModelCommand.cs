using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Nodes;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>model</c>: a model from nothing. <c>model tokenizer</c> learns a vocabulary, <c>model init</c> makes a checkpoint with random weights.</summary>
internal static class ModelCommand
{
    private const string InitHelp = """
        Makes a checkpoint with random weights in Hugging Face layout: matrices normal with the configuration's initializer_range, norms 1, biases 0.

        Examples:
          retrieval model init --config small-llama.json --tokenizer tokenizer --output base
          retrieval model init --config bert.json --tokenizer all-MiniLM-L6-v2 --seed 7 --dtype float32 --output fresh

        The configuration is a config.json of any family that this program loads. The tokenizer's files are copied beside the weights. The same
        configuration, tokenizer, seed and dtype give the same bytes.
        """;

    private const string TokenizerHelp = """
        Learns a byte-level BPE vocabulary from a corpus and writes tokenizer.json and tokenizer_config.json, which the Hugging Face library loads too.

        Examples:
          retrieval model tokenizer --corpus corpus.jsonl --vocab-size 8192 --output tokenizer
          retrieval model tokenizer --corpus corpus.jsonl --queries queries.jsonl --vocab-size 32000 --output tokenizer

        Titles and texts are read in every format of retrieval encode. The end-of-text token gets id 0 and is the padding token too.
        """;

    // 256 bytes and the end-of-text token are always there.
    private const int SmallestVocabulary = 257, LargestVocabulary = 1 << 20;

    /// <summary>Makes the verb.</summary>
    public static Command Create() => new("model", "Makes models: a tokenizer, a checkpoint with random weights, a model merged with its adapters, or stored in another type.") { CreateTokenizer(), CreateInit(), ModelMergeCommand.Create(), ModelConvertCommand.Create() };

    private static Command CreateTokenizer()
    {
        Option<string> corpus = new("--corpus") { Description = "Documents to learn from", HelpName = "PATH", Required = true };
        Option<string?> queries = new("--queries") { Description = "Queries to learn from as well", HelpName = "PATH" };
        Option<int> size = new("--vocab-size") { Description = "Tokens in all", HelpName = "N", DefaultValueFactory = _ => 32_000 };
        Option<string> eos = new("--eos-token") { Description = "The token that ends a text", DefaultValueFactory = _ => "</s>" };
        Option<string> output = new("--output") { Description = "The folder to make", HelpName = "DIR", Required = true };
        size.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is <= SmallestVocabulary or > LargestVocabulary) result.AddError($"--vocab-size must lie between {SmallestVocabulary + 1} and {LargestVocabulary}");
        });
        Command command = new("tokenizer", TokenizerHelp) { corpus, queries, size, eos, output };
        command.SetAction(parsed =>
        {
            IEnumerable<string> texts = Corpus.Read(parsed.GetRequiredValue(corpus)).SelectMany(d => (string[])[d.Title, d.Text]);
            if (parsed.GetValue(queries) is { } path) texts = texts.Concat(Queries.Read(path).Select(q => q.Text));
            string end = parsed.GetRequiredValue(eos);
            byte[] tokenizer = BpeTrainer.Train(texts, parsed.GetRequiredValue(size), [end]);
            JsonObject config = new() { ["tokenizer_class"] = "PreTrainedTokenizerFast", ["eos_token"] = end, ["pad_token"] = end };
            AtomicFile.CreateFolder(parsed.GetRequiredValue(output), folder =>
            {
                AtomicFile.Write(Path.Combine(folder, "tokenizer.json"), stream => stream.Write(tokenizer));
                AtomicFile.WriteText(Path.Combine(folder, "tokenizer_config.json"), config.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
            });
            Console.Out.WriteLine($"{parsed.GetRequiredValue(output)}: {Tokenizer.Load(parsed.GetRequiredValue(output)).IdLimit} tokens");
            return ExitCodes.Done;
        });
        return command;
    }

    private static Command CreateInit()
    {
        Option<string> config = new("--config") { Description = "A config.json", HelpName = "FILE", Required = true };
        Option<string> tokenizer = new("--tokenizer") { Description = "A folder with a tokenizer", HelpName = "DIR", Required = true };
        Option<ulong> seed = new("--seed") { Description = "Decides the weights", HelpName = "N", DefaultValueFactory = _ => 42 };
        Option<string> dtype = new("--dtype") { Description = "How the weights are stored: float32, float16, bfloat16", HelpName = "TYPE", DefaultValueFactory = _ => "bfloat16" };
        dtype.AcceptOnlyFromAmong("float32", "float16", "bfloat16");
        Option<string> output = new("--output") { Description = "The folder to make", HelpName = "DIR", Required = true };
        Command command = new("init", InitHelp) { config, tokenizer, seed, dtype, output };
        command.SetAction(parsed =>
        {
            Init(parsed.GetRequiredValue(config), parsed.GetRequiredValue(tokenizer), parsed.GetRequiredValue(seed), EmbeddingManifest.ParseDType(parsed.GetRequiredValue(dtype))!.Value, parsed.GetRequiredValue(output));
            return ExitCodes.Done;
        });
        return command;
    }

    private static void Init(string configFile, string tokenizerFolder, ulong seed, DType dtype, string output)
    {
        ModelConfig config = ModelConfig.Parse(File.ReadAllBytes(configFile), configFile);
        int ids = Tokenizer.Load(tokenizerFolder).IdLimit;
        if (ids > config.VocabSize) throw new InputException($"{configFile}: field \"vocab_size\" is {config.VocabSize}, but {tokenizerFolder} has token ids up to {ids - 1}");
        using IBackend backend = BackendSelection.OnCpu(threads: 1);
        using Transformer model = Transformer.CreateRandom(backend, config, seed);
        TensorSource[] tensors = [.. model.Parameters.Select(p => TensorSource.FromTensor(p.Name, backend, p.Value, dtype))];
        AtomicFile.CreateFolder(output, folder =>
        {
            CheckpointWriter.Write(folder, config.ToJson(dtype), tensors);
            ModelFolder.CopyTokenizer(tokenizerFolder, folder);
        });
        long parameters = tensors.Sum(t => t.Shape.Count);
        Console.Out.WriteLine($"{output}: {config.ModelType}, {config.NumHiddenLayers} layers x {config.HiddenSize}, {parameters / 1e6:F2} million parameters, {tensors.Sum(t => t.Bytes) / 1e6:F1} MB");
    }
}
