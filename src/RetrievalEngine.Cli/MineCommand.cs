using System;
using System.Collections.Generic;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Linq;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Indexing;
using RetrievalEngine.Search;
using RetrievalEngine.Training;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>mine</c>: hard negatives for training.</summary>
internal static class MineCommand
{
    private const string Help = """
        Mines hard negatives: for each training query, documents that a search ranks high and that are not relevant.

        Examples:
          retrieval mine --method bm25 --corpus scifact --train-data scifact --output train.jsonl
          retrieval mine --index idx/corpus --corpus corpus.jsonl --train-data train.jsonl --relative-margin 0.05 --output harder.jsonl
          retrieval mine --run repllama.run --corpus corpus.jsonl --train-data train.jsonl --range-max 200 --sampling-strategy random --num-negatives 15 --output mined.jsonl
          retrieval mine --method bm25 --corpus corpus.jsonl --queries queries.tsv --qrels qrels.tsv --num-negatives 7 --output train.jsonl
          retrieval mine --method bm25 --corpus corpus.jsonl --train-data old.jsonl --range-min 10 --range-max 210 --sampling-strategy random \
                         --output train.jsonl

        Training data is JSON lines (Tevatron's with texts or ids, FlagEmbedding's), or a BEIR folder of which the train split is taken, or queries
        with judgements; negatives that it has are not looked at. Written are Tevatron's JSON lines with the new negatives, the highest ranked first.
        Positives are left out by id, and copies of them or of better ranked documents by title and text. With a margin, a negative scores at most
        the lowest positive's score less the margin.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        HardNegativeOptions defaults = new();
        Option<string?> method = new("--method") { Description = "How documents are ranked, where no --index is given: bm25" };
        method.AcceptOnlyFromAmong("bm25");
        Option<string?> index = new("--index") { Description = "Rank by the vectors of this index of the corpus", HelpName = "DIR" };
        Option<string?> run = new("--run") { Description = "Take the ranking of this run of the training queries, whatever made it", HelpName = "RUN" };
        Option<string?> model = new("--model") { Description = "Where the index's model is, if it moved", HelpName = "DIR" };
        Option<string?> adapter = CommonOptions.Adapter();
        Option<string> corpus = new("--corpus") { Description = "File or folder with the documents", HelpName = "PATH", Required = true };
        Option<CorpusFormat> format = new("--corpus-format") { Description = "Layout of the corpus", DefaultValueFactory = _ => CorpusFormat.Auto };
        Option<string?> trainData = new("--train-data") { Description = "Training file of any format, or a BEIR folder", HelpName = "PATH" };
        Option<string?> queries = new("--queries") { Description = "Queries, with --qrels in place of --train-data", HelpName = "PATH" };
        Option<string?> qrels = new("--qrels") { Description = "Judgements of the queries", HelpName = "PATH" };
        Option<string> output = new("--output") { Description = "Training data to write", HelpName = "PATH", Required = true };
        Option<int> number = Whole("--num-negatives", "Negatives for each query", defaults.NumNegatives);
        Option<int> rangeMin = Whole("--range-min", "Ranks at the top that are passed over", defaults.RangeMin);
        Option<int> rangeMax = Whole("--range-max", "The last rank looked at", defaults.RangeMax);
        Option<double?> relative = new("--relative-margin") { Description = "Margin as a share of the positive's score: 0.05", HelpName = "X" };
        Option<double?> absolute = new("--absolute-margin") { Description = "Margin in units of the score", HelpName = "X" };
        Option<double?> minScore = new("--min-score") { Description = "The smallest score of a negative", HelpName = "X" };
        Option<double?> maxScore = new("--max-score") { Description = "The largest score of a negative", HelpName = "X" };
        Option<string> sampling = new("--sampling-strategy") { Description = "The best that qualify, or a draw", DefaultValueFactory = _ => "top" };
        sampling.AcceptOnlyFromAmong("top", "random");
        Option<ulong> seed = new("--seed") { Description = "Decides the draw", HelpName = "N", DefaultValueFactory = _ => defaults.Seed };
        Option<double> k1 = Bm25Search.K1(), b = Bm25Search.B();
        BackendSelection device = new();
        Option<bool> quiet = CommonOptions.Quiet(), json = CommonOptions.Json();
        Command command = new("mine", Help)
        {
            method, index, run, model, adapter, corpus, format, trainData, queries, qrels, output, number, rangeMin, rangeMax, relative, absolute, minScore, maxScore,
            sampling, seed, k1, b, quiet, json,
        };
        foreach (Option option in device.All) command.Add(option);
        command.Validators.Add(result =>
        {
            if (((Option[])[method, index, run]).Count(option => Given(result, option)) != 1) result.AddError("give one of --method bm25, --index and --run");
            bool rows = Given(result, trainData), judged = Given(result, queries) && Given(result, qrels);
            if (rows == judged || Given(result, queries) != Given(result, qrels))
                result.AddError("give either --train-data, or --queries and --qrels");
        });
        command.SetAction((parsed, stop) =>
        {
            bool isQuiet = parsed.GetValue(quiet);
            HardNegativeOptions options = new()
            {
                NumNegatives = parsed.GetValue(number),
                RangeMin = parsed.GetValue(rangeMin),
                RangeMax = parsed.GetValue(rangeMax),
                RelativeMargin = parsed.GetValue(relative),
                AbsoluteMargin = parsed.GetValue(absolute),
                MinScore = parsed.GetValue(minScore),
                MaxScore = parsed.GetValue(maxScore),
                Random = parsed.GetValue(sampling) == "random",
                Seed = parsed.GetValue(seed),
            };
            options.Check();
            MiningSummary summary = ProgressDisplay.Run(isQuiet, progress =>
            {
                List<Document> documents = [.. Bm25Search.ReadCorpus(parsed.GetRequiredValue(corpus), parsed.GetValue(format), isQuiet, progress)];
                string corpusPath = parsed.GetRequiredValue(corpus);
                using TrainingSet rows = parsed.GetValue(trainData) is { } data
                    ? TrainingSet.Open(data, corpus: corpusPath, progress: progress)
                    : TrainingSet.OpenJudged(parsed.GetRequiredValue(queries)!, parsed.GetRequiredValue(qrels)!, corpusPath);
                foreach (string warning in isQuiet ? [] : rows.Warnings) Console.Error.WriteLine($"warning: {warning}");
                using IBackend backend = device.Create(parsed, isQuiet);
                if (parsed.GetValue(index) is { } searched)
                    DenseSearch.CheckMemory(backend, isQuiet, searched, parsed.GetValue(model), parsed.GetValue(adapter));
                using DenseIndex? dense = parsed.GetValue(index) is { } folder ? DenseIndex.Open(backend, folder, progress: progress, cancellation: stop) : null;
                using TextEncoder? encoder = dense?.LoadEncoder(parsed.GetValue(model), parsed.GetValue(adapter), progress, cancellation: stop);
                IDocumentRanker ranker = parsed.GetValue(run) is { } found ? new RunRanker(RunFile.Load(found), documents)
                    : dense is null ? new Bm25Ranker(Bm25Search.Index(documents, new Bm25Options(parsed.GetValue(k1), parsed.GetValue(b)), stop))
                    : DenseRanker.Create(dense, encoder!, documents, rows.Select(row => new Query(row.QueryId, row.Query, row.Prompt)), options.RangeMax, progress, stop);
                HardNegativeMiner miner = new(documents, ranker, options);
                return miner.MineToFile(rows, parsed.GetRequiredValue(output), Bm25Search.Threads(device.Threads(parsed)), progress, stop);
            });
            Print(summary, parsed.GetRequiredValue(output), parsed.GetValue(json));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void Print(MiningSummary summary, string output, bool json)
    {
        if (json)
        {
            JsonOutput.Print(writer =>
            {
                writer.WriteString("output", output);
                writer.WriteNumber("rows", summary.Rows);
                writer.WriteNumber("rows_without_negatives", summary.RowsWithoutNegatives);
                writer.WriteNumber("short_rows", summary.ShortRows);
                writer.WriteNumber("negatives", summary.Negatives);
                writer.WriteNumber("positives_left_out", summary.Positives);
                writer.WriteNumber("duplicates_left_out", summary.Duplicates);
                writer.WriteNumber("outside_scores", summary.OutsideScores);
            });
            return;
        }

        Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{summary.Rows:N0} rows with {summary.Negatives:N0} negatives in {output}"));
        Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"left out: {summary.Positives:N0} positives, {summary.Duplicates:N0} duplicates, {summary.OutsideScores:N0} outside the scores"));
        if (summary.ShortRows > 0) Console.Out.WriteLine($"{summary.ShortRows} rows have fewer negatives than wanted");
        if (summary.RowsWithoutNegatives > 0) Console.Out.WriteLine($"{summary.RowsWithoutNegatives} rows without any are not written");
    }

    private static Option<int> Whole(string name, string description, int standard) =>
        new(name) { Description = description, HelpName = "N", DefaultValueFactory = _ => standard };

    private static bool Given(CommandResult result, Option option) => result.GetResult(option) is not null;
}
