using System;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;
using RetrievalEngine.Models;
using RetrievalEngine.Reranking;
using RetrievalEngine.Text;

namespace RetrievalEngine.Cli;

/// <summary><c>model merge</c>: a model and its adapters become one checkpoint in the type wanted.</summary>
internal static class ModelMergeCommand
{
    private const string Help = """
        Adds LoRA adapters to the weights of their base model (W + scale B A, in float32) and writes one checkpoint, with tokenizer and contract, that needs no adapter any more.
        Given several times, --adapter adds all of them; how texts are put together is what the last one says. `model convert` stores a model without an adapter in another type.

        Examples:
          retrieval model merge --model Qwen2-0.5B --adapter runs/lora --output merged --dtype bfloat16
          retrieval model merge --model Llama-2-7b-hf --adapter runs/rankllama --output reranker --dtype bfloat16
          retrieval model merge --model base --adapter runs/general --adapter runs/law --output both
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> model = CommonOptions.Model();
        model.Required = true;
        Option<string[]> adapters = new("--adapter", "--lora-name-or-path") { Description = "Folder of a LoRA adapter (PEFT layout); may be given several times", HelpName = "DIR", Required = true };
        Option<string> output = new("--output") { Description = "The folder to make", HelpName = "DIR", Required = true };
        Option<string> dtype = new("--dtype") { Description = "How the weights are stored: float32, float16, bfloat16", HelpName = "TYPE", DefaultValueFactory = _ => "float32" };
        dtype.AcceptOnlyFromAmong("float32", "float16", "bfloat16");
        Option<int> threads = CommonOptions.Threads();
        Command command = new("merge", Help) { model, adapters, output, dtype, threads };
        command.SetAction((parsed, stop) =>
        {
            using IBackend backend = BackendSelection.OnCpu(parsed.GetValue(threads));
            string folder = parsed.GetRequiredValue(output);
            Transformer merged = Merge(backend, parsed.GetRequiredValue(model), parsed.GetRequiredValue(adapters), folder,
                EmbeddingManifest.ParseDType(parsed.GetRequiredValue(dtype))!.Value, stop);
            using (merged)
            {
                int maps = merged.Linears.Count(linear => linear.Lora is not null);
                Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{folder}: {maps} adapted maps merged into {merged.Parameters.Count} tensors"));
            }

            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static Transformer Merge(IBackend backend, string modelFolder, string[] adapters, string output, DType dtype, CancellationToken stop)
    {
        Tokenizer tokenizer = Tokenizer.Load(modelFolder);
        bool isReranker = ModelConfig.Load(modelFolder).IsSequenceClassification || adapters.Any(a => AdapterConfig.Load(a).IsReranker);
        Transformer model;
        Action<string> save;
        if (isReranker)
        {
            if (adapters.Length > 1) throw new InputException("adapters of rerankers bring their own heads, of which a model has one; name one --adapter");
            RerankContract contract = RerankContractResolver.For(modelFolder, adapters[0], new RerankOverrides(), cancellation: stop);
            model = Transformer.LoadReranker(backend, modelFolder, adapters[0], exact: true);
            save = folder => RerankerFolder.Save(backend, model, modelFolder, contract, tokenizer, folder, dtype);
        }
        else
        {
            EncodingContract contract = EncodingContract.For(modelFolder, adapters[^1], cancellation: stop);
            model = Transformer.Load(backend, modelFolder, exact: true);
            foreach (string adapter in adapters) LoraWeights.Load(backend, model, adapter);
            save = folder => ModelFolder.Save(backend, model, modelFolder, contract, tokenizer, folder, dtype);
        }

        AtomicFile.CreateFolder(output, save);
        return model;
    }
}
