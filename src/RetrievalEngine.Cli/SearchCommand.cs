using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Indexing;
using RetrievalEngine.Search;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>search</c>: exact search in an index of vectors, or BM25 over a corpus.</summary>
internal static class SearchCommand
{
    private const string Bm25 = "bm25", Dense = "dense";
    private const int RunDepth = 1000, PrintedDepth = 10;

    private const string Help = """
        Finds the best documents of each query and writes them as a run.

        Examples:
          retrieval search --index idx/scifact --queries scifact/queries.jsonl --output dense.run
          retrieval search --index idx/scifact --query "does vitamin D prevent falls?" --corpus scifact
          retrieval search --index idx/scifact --query-embeddings emb/queries --depth 100 --output dense.run
          retrieval search --index idx/scifact --queries q.tsv --filter recent.ids --exclude-self --output dense.run
          retrieval search --model all-MiniLM-L6-v2 --corpus scifact --queries scifact/queries.jsonl --output dense.run
          retrieval search --method bm25 --corpus scifact --queries scifact/queries.jsonl --output bm25.run

        The index names the model that made it and how; queries are encoded by that model, whose files are compared by hash first. An index of
        another model is refused. With --model and --corpus and no --index, passages are encoded as they are read and their vectors dropped: nothing is
        stored, and the whole corpus is encoded for every call. Search is exact; equal scores come in the order of the corpus. A run has TREC's columns: query Q0 document rank
        score tag. A corpus is JSON lines (BEIR, Tevatron, Pyserini, FlagEmbedding) or id⇥text, or a folder with corpus.jsonl; queries are JSON lines
        or id⇥text. BM25 takes words of letters a-z and digits without 33 stop words, unstemmed.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> method = new("--method") { Description = "dense (an index of vectors) or bm25", DefaultValueFactory = _ => Dense };
        method.AcceptOnlyFromAmong(Dense, Bm25);
        Option<string?> index = new("--index") { Description = "Folder that retrieval index build wrote", HelpName = "DIR" };
        Option<string?> queries = new("--queries") { Description = "File or folder with the queries", HelpName = "PATH" };
        Option<string?> queryEmbeddings = new("--query-embeddings") { Description = "Folder that retrieval encode --query wrote, or a file of vectors (.npy, .fvecs, faiss)", HelpName = "PATH" };
        Option<string?> query =
            new("--query") { Description = "One query; prints rank, score, id and, with --corpus, title and text", HelpName = "TEXT" };
        Option<string> model = CommonOptions.Model("Folder of the model, if it is not where the index says");
        Option<string?> adapter = CommonOptions.Adapter();
        Option<string?> corpus = new("--corpus") { Description = "File or folder with the documents: to print them, or for bm25", HelpName = "PATH" };
        Option<CorpusFormat> format = new("--corpus-format") { Description = "Layout of the corpus", DefaultValueFactory = _ => CorpusFormat.Auto };
        Option<int?> depth = CommonOptions.Count("--depth", $"Documents for each query (default {RunDepth}; {PrintedDepth} with --query)");
        Option<string?> output = new("--output") { Description = "Run to write; standard output where absent", HelpName = "RUN" };
        Option<RunFormat> runFormat = new("--output-format") { Description = "Columns of the run", DefaultValueFactory = _ => RunFormat.Trec };
        Option<bool> excludeSelf = new("--exclude-self") { Description = "Leave out the document with the query's id (ArguAna, Quora)" };
        Option<string?> filter = new("--filter") { Description = "File with the ids of the documents that may be found, one a line", HelpName = "FILE" };
        Option<float?> threshold = new("--score-threshold") { Description = "All documents with at least this score, or with --depth the best of them", HelpName = "SCORE" };
        Option<ScanKind> scan = new("--scan")
        {
            Description = "Of an index with --scan-dtype int8: auto, full (the vectors) or codes; the result is the same",
            DefaultValueFactory = _ => ScanKind.Auto,
        };
        Option<int?> prefix = CommonOptions.Count("--prefix-dim",
            "Look for candidates by the first N dimensions (Matryoshka models), then rank them by all; not exact");
        Option<int?> multiplier = CommonOptions.Count("--rescore-multiplier",
            $"With --prefix-dim: candidates for each result (default {SearchOptions.DefaultRescoreMultiplier})");
        Option<bool> skipChecksums = new("--skip-checksums") { Description = "Do not compare the index's checksums first" };
        Option<double> k1 = Bm25Search.K1(), b = Bm25Search.B();
        ContractOptions contract = new();
        BackendSelection device = new();
        Option<bool> quiet = CommonOptions.Quiet();
        Option<bool> json = CommonOptions.Json("With --query: print one JSON object");
        Command command = new("search", Help)
        {
            method, index, queries, queryEmbeddings, query, model, adapter, corpus, format, depth, output, runFormat, filter, excludeSelf,
            threshold, scan, prefix, multiplier, skipChecksums,
            k1, b, quiet, json,
        };
        foreach (Option option in contract.All) command.Add(option);
        foreach (Option option in device.All) command.Add(option);
        Option[] ofDense = [index, queryEmbeddings, model, adapter, filter, excludeSelf, threshold, scan, prefix, multiplier, skipChecksums], ofBm25 = [k1, b];
        command.Validators.Add(result =>
        {
            bool isDense = result.GetValue(method) != Bm25;
            foreach (Option option in isDense ? ofBm25 : ofDense)
            {
                if (IsGiven(option)) result.AddError($"{option.Name} goes with --method {(isDense ? Bm25 : Dense)}");
            }

            bool encodesCorpus = isDense && !IsGiven(index);
            if (encodesCorpus && !(IsGiven(model) && IsGiven(corpus)))
                result.AddError("give --index DIR, or --model DIR with --corpus PATH, or --method bm25 with --corpus PATH");
            foreach (Option option in encodesCorpus ? (Option[])[queryEmbeddings, scan, prefix, skipChecksums] : [.. contract.All])
            {
                if (IsGiven(option)) result.AddError($"{option.Name} goes {(encodesCorpus ? "with --index DIR" : "with --model DIR and --corpus PATH, without --index")}");
            }

            if (IsGiven(prefix) && result.GetValue(scan) == ScanKind.Codes) result.AddError("--scan codes reads whole codes; --prefix-dim goes without it");
            if (IsGiven(multiplier) && !IsGiven(prefix)) result.AddError("--rescore-multiplier goes with --prefix-dim");
            if (!isDense && !IsGiven(corpus)) result.AddError("--method bm25 needs --corpus PATH");
            int sources = ((Option[])[queries, queryEmbeddings, query]).Count(IsGiven);
            if (sources != 1)
                result.AddError($"give {(isDense ? "one of --queries PATH, --query-embeddings DIR and" : "either --queries PATH or")} --query TEXT");
            if (IsGiven(query) && IsGiven(output)) result.AddError("--query prints its result; --output goes with --queries");
            if (!IsGiven(query) && IsGiven(json)) result.AddError("--json goes with --query; --output-format says how a run is written");
            if (!IsGiven(query) && isDense && IsGiven(index) && IsGiven(corpus)) result.AddError("--corpus goes with --query, to print what was found");

            bool IsGiven(Option option) => result.GetResult(option) is { Implicit: false };
        });
        command.SetAction((parsed, stop) =>
        {
            bool isQuiet = parsed.GetValue(quiet);
            string? text = parsed.GetValue(query), documents = parsed.GetValue(corpus);
            int best = parsed.GetValue(depth) ?? (parsed.GetValue(threshold) is not null ? int.MaxValue : text is null ? RunDepth : PrintedDepth);
            RunFile run = ProgressDisplay.Run(isQuiet, progress => parsed.GetValue(method) == Dense
                ? SearchDense(best, isQuiet, progress)
                : SearchBm25(new Bm25Options(parsed.GetValue(k1), parsed.GetValue(b)), best, isQuiet, progress));
            if (text is not null)
                SearchResults.Print(text, run[run.QueryIds[0]], documents is null ? null : Corpus.Read(documents, parsed.GetValue(format)),
                    parsed.GetValue(json), isQuiet);
            else if (parsed.GetValue(output) is { } path) run.Write(path, parsed.GetValue(runFormat));
            else Print(run, parsed.GetValue(runFormat));
            return Task.FromResult(ExitCodes.Done);

            RunFile SearchDense(int best, bool isQuiet, IProgress<ProgressUpdate> progress)
            {
                RankOptions options = new()
                {
                    Filter = parsed.GetValue(filter) is { } ids ? new HashSet<string>(VectorFile.ReadIds(ids), StringComparer.Ordinal) : null,
                    ExcludeSelf = parsed.GetValue(excludeSelf),
                    ScoreThreshold = parsed.GetValue(threshold),
                    Scan = parsed.GetValue(scan),
                    PrefixDimensions = parsed.GetValue(prefix),
                    RescoreMultiplier = parsed.GetValue(multiplier) ?? SearchOptions.DefaultRescoreMultiplier,
                };
                DenseSearch search = new(parsed.GetValue(index) ?? "", parsed.GetValue(model), parsed.GetValue(adapter), best,
                    options, parsed.GetValue(skipChecksums));
                using IBackend backend = device.Create(parsed, isQuiet);
                if (parsed.GetValue(index) is null)
                    return search.Search(backend, Wanted(), Corpus.Read(documents!, parsed.GetValue(format)), contract.Read(parsed), isQuiet, progress, stop);
                return parsed.GetValue(queryEmbeddings) is { } vectors
                    ? search.Search(backend, vectors, isQuiet, progress, stop)
                    : search.Search(backend, Wanted(), isQuiet, progress, stop);
            }

            RunFile SearchBm25(Bm25Options options, int best, bool isQuiet, IProgress<ProgressUpdate> progress)
            {
                IEnumerable<Document> read = Bm25Search.ReadCorpus(documents!, parsed.GetValue(format), isQuiet, progress);
                return Bm25Search.Search(Bm25Search.Index(read, options, stop), Wanted(), best, device.Threads(parsed), progress, stop);
            }

            Query[] Wanted() => text is null ? [.. Queries.Read(parsed.GetRequiredValue(queries)!)] : [new Query("query", text)];
        });
        return command;
    }

    private static void Print(RunFile run, RunFormat format)
    {
        // The console flushes each write; a run has up to a million lines.
        StringWriter text = new(CultureInfo.InvariantCulture);
        run.Write(text, format);
        Console.Out.Write(text.ToString());
    }
}
