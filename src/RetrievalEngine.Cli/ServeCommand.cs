using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Indexing;
using RetrievalEngine.Models;
using RetrievalEngine.Reranking;
using RetrievalEngine.Server;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>serve</c>: embeddings, scores and search for other programs.</summary>
internal static class ServeCommand
{
    /// <summary>The environment variable with a key that requests must bear, so that it stands in no list of processes.</summary>
    public const string KeyVariable = "RETRIEVAL_API_KEY";

    private const string Help = """
        Serves embeddings, reranking and search over HTTP until it is stopped.

        Examples:
          retrieval serve --model all-MiniLM-L6-v2
          retrieval serve --model Llama-2-7b-hf --adapter repllama --default-prompt-name passage --port 9000
          retrieval serve --index index --reranker runs/cross-encoder --corpus scifact      (queries with the model that the index names)
          curl localhost:8080/v1/embeddings -H 'Content-Type: application/json' -d '{"input": ["one text", "another"], "input_type": "query"}'
          curl localhost:8080/search -d '{"query": "what is dense retrieval?", "depth": 5, "rerank": true, "return_text": true}'

        Routes: /v1/embeddings (OpenAI: float or base64, token ids, dimensions), /embed, /similarity, /tokenize, /decode, /rerank, /info, /health, /metrics
        (text-embeddings-inference), /v1/rerank and /v2/rerank (Jina, Cohere), /v1/models, /search. Vectors are those of `retrieval encode`, bit by bit, whoever else asks.
        A text gets the model's prefix where the request says what it is ("input_type", "prompt_name": query or passage), else as --default-prompt-name says.
        Over-long texts are refused on /v1/embeddings unless "truncate" is true, and cut elsewhere unless --auto-truncate or "truncate" is false.
        RETRIEVAL_API_KEY is a key like --api-key. Ctrl-C or SIGTERM finishes what is under way; a second one ends at once.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string?> model = new("--model", "--model-name-or-path", "--model-id") { Description = "Folder of the embedding model (Hugging Face or sentence-transformers layout)", HelpName = "DIR" };
        Option<string?> adapter = CommonOptions.Adapter();
        Option<string?> reranker = new("--reranker") { Description = "Folder of a reranker, or of the base of --reranker-adapter", HelpName = "DIR" };
        Option<string?> rerankerAdapter = new("--reranker-adapter") { Description = "Folder of the reranker's LoRA adapter", HelpName = "DIR" };
        Option<string?> index = new("--index") { Description = "Folder of an index, for /search", HelpName = "DIR" };
        Option<string?> corpus = new("--corpus") { Description = "With --index: file or folder with its documents, for their texts and for reranking", HelpName = "PATH" };
        Option<bool> skipChecksums = new("--skip-checksums") { Description = "Do not compare the index's checksums first" };
        Option<string[]> names = new("--served-model-name") { Description = "What requests call the models; may be repeated (default: the folder's name)", HelpName = "NAME" };
        ServeOptions limits = new();
        BackendSelection device = new();
        ContractOptions contract = new();
        Option<int?> batchTokens = CommonOptions.Count("--batch-tokens",
            $"Most tokens of a batch (default {TextEncoder.DefaultBatchTokens}); it does not change the vectors", "--max-batch-tokens");
        Option<bool> quiet = CommonOptions.Quiet();
        Option<bool> json = CommonOptions.Json("Print where the server listens as one JSON object");
        Command command = new("serve", Help) { model, adapter, reranker, rerankerAdapter, index, corpus, skipChecksums, names, batchTokens };
        foreach (Option option in limits.All) command.Add(option);
        foreach (Option option in contract.All) command.Add(option);
        foreach (Option option in device.All) command.Add(option);
        command.Add(quiet);
        command.Add(json);
        command.Validators.Add(result =>
        {
            bool IsGiven(Option option) => result.GetResult(option) is { Implicit: false };
            if (!IsGiven(model) && !IsGiven(index) && !IsGiven(reranker)) result.AddError("give --model DIR, --index DIR or --reranker DIR");
            if (IsGiven(adapter) && !IsGiven(model) && !IsGiven(index)) result.AddError("--adapter goes with --model DIR");
            if (IsGiven(rerankerAdapter) && !IsGiven(reranker)) result.AddError("--reranker-adapter goes with --reranker DIR");
            if (IsGiven(corpus) && !IsGiven(index)) result.AddError("--corpus goes with --index DIR");
            if (IsGiven(skipChecksums) && !IsGiven(index)) result.AddError("--skip-checksums goes with --index DIR");
            foreach (Option option in contract.All.Where(IsGiven))
            {
                if (IsGiven(index)) result.AddError($"{option.Name} does not go with --index: its vectors say how texts are treated");
                else if (!IsGiven(model)) result.AddError($"{option.Name} goes with --model DIR");
            }
        });
        command.SetAction(async (parsed, stop) =>
        {
            bool isQuiet = parsed.GetValue(quiet);
            using IBackend backend = device.Create(parsed, isQuiet);
            using Loaded loaded = ProgressDisplay.Run(isQuiet, progress => Load(backend, progress));
            ServerOptions options = limits.Read(parsed, message => Console.Error.WriteLine($"error: {message}"));
            RetrievalServer server = await RetrievalServer.StartAsync(loaded.Models(Names(parsed.GetValue(model), parsed.GetValue(index), parsed.GetValue(reranker)), Names(parsed.GetValue(reranker)), backend), options, stop).ConfigureAwait(false);
            await using (server.ConfigureAwait(false))
            {
                if (parsed.GetValue(json)) JsonOutput.Print(writer => writer.WriteString("url", server.Url));
                else Console.Out.WriteLine($"listening on {server.Url} ({backend.Name})");
                try
                {
                    await Task.Delay(Timeout.Infinite, stop).ConfigureAwait(false);
                }
                catch (OperationCanceledException)
                {
                    // What is under way is finished by disposing the server.
                }
            }

            return ExitCodes.Done;

            string[] Names(params ReadOnlySpan<string?> folders)
            {
                if (parsed.GetValue(names) is { Length: > 0 } given) return given;
                foreach (string? folder in folders)
                {
                    if (folder is not null) return [Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)))];
                }

                return [];
            }

            Loaded Load(IBackend backend, IProgress<ProgressUpdate> progress)
            {
                int tokens = parsed.GetValue(batchTokens) ?? TextEncoder.DefaultBatchTokens;
                string? folder = parsed.GetValue(model), adapterFolder = parsed.GetValue(adapter), indexFolder = parsed.GetValue(index);
                string? rerankerFolder = parsed.GetValue(reranker), rerankerAdapterFolder = parsed.GetValue(rerankerAdapter);
                CheckMemory(backend, isQuiet, folder, adapterFolder, indexFolder, rerankerFolder, rerankerAdapterFolder, tokens);
                Loaded made = new();
                try
                {
                    if (indexFolder is not null)
                    {
                        made.Index = DenseIndex.Open(backend, indexFolder, !parsed.GetValue(skipChecksums), progress, stop);
                        made.Encoder = made.Index.LoadEncoder(folder, adapterFolder, progress, tokens, stop);
                    }
                    else if (folder is not null)
                    {
                        made.Encoder = TextEncoder.Load(backend, folder, adapterFolder, EncodingContract.For(folder, adapterFolder, contract.Read(parsed), progress, stop), tokens);
                    }

                    if (parsed.GetValue(corpus) is { } documents) made.Documents = DocumentLookup.Open(documents);
                    if (rerankerFolder is not null)
                    {
                        RerankContract pairs = RerankContractResolver.For(rerankerFolder, rerankerAdapterFolder, new RerankOverrides(), progress, stop);
                        made.Reranker = CrossEncoder.Load(backend, rerankerFolder, rerankerAdapterFolder, pairs, tokens);
                    }

                    return made;
                }
                catch
                {
                    made.Dispose();
                    throw;
                }
            }
        });
        return command;
    }

    private static void CheckMemory(IBackend backend, bool quiet, string? model, string? adapter, string? index, string? reranker, string? rerankerAdapter, int tokens) =>
        MemoryReport.Check(backend, quiet, () =>
        {
            MemoryPlan plan = index is null ? Of(model, adapter) : DenseSearch.Plan(backend, index, model, adapter, tokens), second = Of(reranker, rerankerAdapter);
            return new MemoryPlan
            {
                Weights = plan.Weights + second.Weights,
                Adapters = plan.Adapters + second.Adapters,
                Activations = plan.Activations + second.Activations,
                Index = plan.Index,
            };

            MemoryPlan Of(string? folder, string? adapterFolder) => folder is null ? new MemoryPlan()
                : MemoryPlan.Of(backend, folder, adapterFolder is null ? null : AdapterConfig.Load(adapterFolder), tokens);
        });

    /// <summary>What was loaded, in the order in which it must go.</summary>
    private sealed class Loaded : IDisposable
    {
        public TextEncoder? Encoder { get; set; }

        public CrossEncoder? Reranker { get; set; }

        public DenseIndex? Index { get; set; }

        public DocumentLookup? Documents { get; set; }

        public ServedModels Models(IReadOnlyList<string> names, IReadOnlyList<string> rerankerNames, IBackend backend) => new()
        {
            Names = names,
            RerankerNames = rerankerNames,
            Device = backend.Name,
            Encoder = Encoder,
            Reranker = Reranker,
            Index = Index,
            Documents = Documents is null ? null : Documents.Find,
        };

        public void Dispose()
        {
            Reranker?.Dispose();
            Encoder?.Dispose();
            Index?.Dispose();
            Documents?.Dispose();
        }
    }
}
