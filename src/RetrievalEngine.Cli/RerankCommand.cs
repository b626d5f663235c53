using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Security.Cryptography;
using System.Threading.Tasks;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Models;
using RetrievalEngine.Reranking;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>rerank</c>: a better order of what a retriever found.</summary>
internal static class RerankCommand
{
    private const int DefaultDepth = 100;
    private const string JournalSuffix = ".unfinished";

    private const string Help = """
        Scores the best documents of each query of a run again, each together with the query, and writes them as a new run.

        Examples:
          retrieval rerank --model runs/cross-encoder --run dense.run --queries scifact/queries.jsonl --corpus scifact --output reranked.run
          retrieval rerank --model Llama-2-7b-hf --adapter rankllama-v1-7b-lora-passage --preset rankllama-2023 --depth 200 \
                           --run repllama.run --queries queries.tsv --corpus collection.tsv --output reranked.run

        The model is a folder of *ForSequenceClassification with one label (what `retrieval train --task reranker` writes, sentence-transformers' cross-encoders),
        or a base with a PEFT adapter that holds the score head (RankLLaMA). How query and passage become one sequence is what training wrote beside it, else of an
        encoder the tokenizer's pair, of a decoder "query: Q document: TITLE TEXT"; presets and options change it. A score is the head's output as it is.
        Documents below --depth are left out. Finished queries stand in OUTPUT.unfinished until all are: stopped (Ctrl-C, kill, full disk), the same command goes on.
        Of a decoder the tokens that a query's sequences begin with are computed once.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> model = CommonOptions.Model("Folder of the reranker, or of the base of --adapter");
        model.Required = true;
        Option<string?> adapter = CommonOptions.Adapter();
        Option<string> run = new("--run") { Description = "What a retriever found: TREC's six columns, MS MARCO's or Tevatron's three", HelpName = "RUN", Required = true };
        Option<string> queries = new("--queries") { Description = "File or folder with the queries", HelpName = "PATH", Required = true };
        Option<string> corpus = new("--corpus") { Description = "File or folder with the documents", HelpName = "PATH", Required = true };
        Option<int?> depth = CommonOptions.Count("--depth", $"Documents for each query (default {DefaultDepth})", "--rerank-depth");
        Option<string> output = new("--output") { Description = "Run to write", HelpName = "RUN", Required = true };
        Option<RunFormat> runFormat = new("--output-format") { Description = "Columns of the run", DefaultValueFactory = _ => RunFormat.Trec };
        Option<int?> batchTokens = CommonOptions.Count(
            "--batch-tokens", $"Most tokens of a batch (default {TextEncoder.DefaultBatchTokens}); it does not change the scores");
        ContractOptions contract = new();
        BackendSelection device = new();
        Option<bool> quiet = CommonOptions.Quiet();
        Option<bool> json = CommonOptions.Json();
        Command command = new("rerank", Help) { model, adapter, run, queries, corpus, depth, output, runFormat, batchTokens };
        foreach (Option option in contract.OfPairs) command.Add(option);
        foreach (Option option in device.All) command.Add(option);
        command.Add(quiet);
        command.Add(json);
        command.SetAction((parsed, stop) =>
        {
            string folder = parsed.GetRequiredValue(model);
            string? adapterFolder = parsed.GetValue(adapter);
            bool isQuiet = parsed.GetValue(quiet);
            int tokens = parsed.GetValue(batchTokens) ?? TextEncoder.DefaultBatchTokens;
            RunFile found = RunFile.Load(parsed.GetRequiredValue(run));
            Dictionary<string, string> texts = Queries.Read(parsed.GetRequiredValue(queries)).ToDictionary(q => q.Id, q => q.Text);
            using IBackend backend = device.Create(parsed, isQuiet);
            MemoryReport.Check(backend, isQuiet, () => MemoryPlan.Of(backend, folder, adapterFolder is null ? null : AdapterConfig.Load(adapterFolder), tokens));
            int best = parsed.GetValue(depth) ?? DefaultDepth;
            string path = parsed.GetRequiredValue(output);
            RerankSummary summary = ProgressDisplay.Run(isQuiet, progress =>
            {
                RerankContract made = RerankContractResolver.For(folder, adapterFolder, contract.ReadPairs(parsed), progress, stop);
                using DocumentLookup documents = DocumentLookup.Open(parsed.GetRequiredValue(corpus));
                using CrossEncoder encoder = CrossEncoder.Load(backend, folder, adapterFolder, made, tokens);
                Reranker reranker = new(encoder, documents.Find);
                reranker.Check(found, texts, best);
                // A device (/dev/stdout) has no place beside it.
                using RerankJournal? journal = path.StartsWith("/dev/", StringComparison.Ordinal) ? null
                    : RerankJournal.Open(path + JournalSuffix, Identity(made, found, texts, best, documents.ContentHash, backend));
                RerankSummary reranked = reranker.Rerank(found, texts, best, journal, progress, stop);
                reranked.Run.Write(path, parsed.GetValue(runFormat));
                journal?.Delete();
                return reranked;
            });
            if (!isQuiet) Warn(summary, found, texts);
            Print(summary, path, backend, parsed.GetValue(json));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    /// <summary>What decides the scores: an unfinished reranking of anything else is not gone on with.</summary>
    private static string Identity(RerankContract contract, RunFile run, Dictionary<string, string> queries, int depth, string corpusHash, IBackend backend)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        ContentHash.Append(hash, contract.ToJson().ToJsonString());
        ContentHash.Append(hash, string.Create(CultureInfo.InvariantCulture, $"depth {depth} corpus {corpusHash} in {backend.ActivationDType}"));
        foreach (string query in run.QueryIds)
        {
            ContentHash.Append(hash, query);
            ContentHash.Append(hash, queries[query]);
            foreach (ScoredDocument document in run[query]) ContentHash.Append(hash, string.Create(CultureInfo.InvariantCulture, $"{document.DocId} {document.Score:R}"));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Warn(RerankSummary summary, RunFile found, Dictionary<string, string> queries)
    {
        if (summary.Truncated > 0)
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"warning: {summary.Truncated:N0} of {summary.Pairs:N0} pairs are too long and were truncated"));
        int unsearched = queries.Keys.Count(id => !found.Contains(id));
        if (unsearched > 0) Console.Error.WriteLine($"warning: the run has nothing for {unsearched} of {queries.Count} queries");
    }

    private static void Print(RerankSummary summary, string output, IBackend backend, bool json)
    {
        if (!json)
        {
            string before = summary.PairsBefore > 0 ? string.Create(CultureInfo.InvariantCulture, $" ({summary.PairsBefore:N0} were there before)") : "";
            Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{summary.Run.QueryIds.Count:N0} queries, {summary.Pairs:N0} pairs{before}, {summary.Tokens:N0} tokens in {summary.Seconds:F1} s on {backend.Name}: {output}"));
            return;
        }

        JsonOutput.Print(writer =>
        {
            writer.WriteString("output", output);
            writer.WriteString("backend", backend.Name);
            writer.WriteNumber("queries", summary.Run.QueryIds.Count);
            writer.WriteNumber("pairs", summary.Pairs);
            writer.WriteNumber("pairs_before", summary.PairsBefore);
            writer.WriteNumber("tokens", summary.Tokens);
            writer.WriteNumber("truncated", summary.Truncated);
            writer.WriteNumber("seconds", summary.Seconds);
        });
    }
}
