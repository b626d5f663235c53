using System;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Cli;

/// <summary><c>model merge</c>: a model, with its adapter if it has one, becomes one checkpoint in the type wanted.</summary>
internal static class ModelMergeCommand
{
    private const string Help = """
        Adds a LoRA adapter to the weights of its base model (W + scale B A, in float32) and writes one checkpoint, with tokenizer and encoding contract, that needs no adapter any more.
        Without an adapter it writes the model again, in the type wanted: training leaves float32.

        Examples:
          retrieval model merge --model Qwen2-0.5B --adapter runs/lora --output merged --dtype bfloat16
          retrieval model merge --model runs/full --output small --dtype bfloat16
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> model = CommonOptions.Model();
        model.Required = true;
        Option<string?> adapter = CommonOptions.Adapter();
        Option<string> output = new("--output") { Description = "The folder to make", HelpName = "DIR", Required = true };
        Option<string> dtype = new("--dtype") { Description = "How the weights are stored: float32, float16, bfloat16", HelpName = "TYPE", DefaultValueFactory = _ => "float32" };
        dtype.AcceptOnlyFromAmong("float32", "float16", "bfloat16");
        Option<int> threads = CommonOptions.Threads();
        Command command = new("merge", Help) { model, adapter, output, dtype, threads };
        command.SetAction((parsed, stop) =>
        {
            Merge(parsed.GetRequiredValue(model), parsed.GetValue(adapter), parsed.GetRequiredValue(output),
                EmbeddingManifest.ParseDType(parsed.GetRequiredValue(dtype))!.Value, parsed.GetValue(threads), stop);
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void Merge(string modelFolder, string? adapterFolder, string output, DType dtype, int threads, CancellationToken stop)
    {
        using IBackend backend = BackendSelection.OnCpu(threads);
        EncodingContract contract = EncodingContract.For(modelFolder, adapterFolder, cancellation: stop);
        using Transformer model = Transformer.Load(backend, modelFolder, exact: true);
        if (adapterFolder is not null) LoraWeights.Load(backend, model, adapterFolder);
        Tokenizer tokenizer = Tokenizer.Load(modelFolder);
        AtomicFile.CreateFolder(output, folder => ModelFolder.Save(backend, model, modelFolder, contract, tokenizer, folder, dtype));
        int merged = model.Linears.Count(linear => linear.Lora is not null);
        Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{output}: {merged} adapted maps merged into {model.Parameters.Count} tensors"));
    }
}
