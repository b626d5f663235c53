using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>model</c>: checkpoints as such. <c>model init</c> makes one with random weights, to train from nothing.</summary>
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

    private static readonly Dictionary<string, DType> s_dtypes = new() { ["float32"] = DType.F32, ["float16"] = DType.F16, ["bfloat16"] = DType.BF16 };

    // What a Hugging Face folder keeps a tokenizer in.
    private static readonly string[] s_tokenizerFiles = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];

    /// <summary>Makes the verb.</summary>
    public static Command Create() => new("model", "Makes checkpoints.") { CreateInit() };

    private static Command CreateInit()
    {
        Option<string> config = new("--config") { Description = "A config.json", HelpName = "FILE", Required = true };
        Option<string> tokenizer = new("--tokenizer") { Description = "A folder with tokenizer.json", HelpName = "DIR", Required = true };
        Option<ulong> seed = new("--seed") { Description = "Decides the weights", HelpName = "N", DefaultValueFactory = _ => 42 };
        Option<string> dtype = new("--dtype") { Description = "How the weights are stored", DefaultValueFactory = _ => "bfloat16" };
        dtype.AcceptOnlyFromAmong([.. s_dtypes.Keys]);
        Option<string> output = new("--output") { Description = "The folder to make", HelpName = "DIR", Required = true };
        Command command = new("init", InitHelp) { config, tokenizer, seed, dtype, output };
        command.SetAction(parsed =>
        {
            Init(parsed.GetRequiredValue(config), parsed.GetRequiredValue(tokenizer), parsed.GetRequiredValue(seed), s_dtypes[parsed.GetRequiredValue(dtype)], parsed.GetRequiredValue(output));
            return ExitCodes.Done;
        });
        return command;
    }

    private static void Init(string configFile, string tokenizerFolder, ulong seed, DType dtype, string output)
    {
        ModelConfig config = ModelConfig.Parse(File.ReadAllBytes(configFile), configFile);
        int ids = Tokenizer.Load(tokenizerFolder).IdLimit;
        if (ids > config.VocabSize) throw new InputException($"{configFile}: field \"vocab_size\" is {config.VocabSize}, but {tokenizerFolder} has token ids up to {ids - 1}");
        using CpuBackend backend = new();
        using Transformer model = Transformer.CreateRandom(backend, config, seed);
        TensorSource[] tensors = [.. model.Parameters.Select(p => TensorSource.FromTensor(p.Name, backend, p.Value, dtype))];
        AtomicFile.CreateFolder(output, folder =>
        {
            CheckpointWriter.Write(folder, config.ToJson(dtype), tensors);
            foreach (string name in s_tokenizerFiles.Where(name => File.Exists(Path.Combine(tokenizerFolder, name))))
                File.Copy(Path.Combine(tokenizerFolder, name), Path.Combine(folder, name));
        });
        long parameters = tensors.Sum(t => t.Shape.Count);
        Console.Out.WriteLine($"{output}: {config.ModelType}, {config.NumHiddenLayers} layers x {config.HiddenSize}, {parameters / 1e6:F2} million parameters, {tensors.Sum(t => t.Bytes) / 1e6:F1} MB");
    }
}
