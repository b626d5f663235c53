using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Linq;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>evaluate</c>: trec_eval's arguments and output.</summary>
internal static class EvaluateCommand
{
    private const string Name = "evaluate";
    private const string Flags = "qcnJ";
    private const string OptionsWithValue = "mlMNZ";

    private const string Help = """
        Measures a run against relevance judgements: arguments, measures and output are trec_eval's (9.0.8).

        Examples:
          retrieval evaluate qrels.txt run.txt                                     the official measures
          retrieval evaluate -c -m ndcg_cut.10 -m recall.100 -m map qrels.txt run.txt
          retrieval evaluate -c -l2 -m map -m recall.1000 qrels.txt run.txt        TREC DL: grade 2 on is relevant
          retrieval evaluate -c -M 10 -m recip_rank qrels.txt run.txt              MRR@10 (also: -m recip_rank_cut.10)
          retrieval evaluate -q -m all_trec qrels.txt run.txt                      everything, for each query
          retrieval evaluate --rules msmarco qrels.tsv run.tsv                     MRR@10 by MS MARCO's script

        Documents are ranked by score, ties by id descending (bytes); the run's rank column and order do not matter.
        A measure is map, gm_map, Rprec, bpref, recip_rank, iprec_at_recall, P, recall, success, ndcg, ndcg_cut, map_cut, infAP, utility, set_P, …
        or a group: official, set, all_trec. Depths or other parameters follow a dot: P.5,10 or ndcg.1=3,2=9.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<bool> complete = new("-c", "--complete_rel_info_wanted") { Description = "Average over all judged queries, missing ones as 0" };
        Option<bool> perQuery = new("-q", "--query_eval_wanted") { Description = "Print each query's values too" };
        Option<bool> noSummary = new("-n", "--nosummary") { Description = "Do not print the values over all queries" };
        Option<bool> judgedOnly = new("-J", "--Judged_docs_only") { Description = "Take documents that are not judged out of the run first" };
        Option<int> level = new("-l", "--level_for_rel")
        {
            Description = "The smallest grade that is relevant",
            HelpName = "N",
            DefaultValueFactory = _ => 1,
        };
        Option<int?> depth = new("-M", "--Max_retrieved_per_topic") { Description = "Evaluate each query's best N documents only", HelpName = "N" };
        Option<long> collection = new("-N", "--Number_docs_in_coll") { Description = "Documents in the collection (for utility)", HelpName = "N" };
        Option<string?> zScores = new("-Z", "--Zscore") { Description = "Print distances from FILE's means, in deviations", HelpName = "FILE" };
        Option<string[]> measures = new("-m", "--measure") { Description = "A measure or group of measures; may be repeated", HelpName = "MEASURE" };
        Option<string> rules = new("--rules")
        {
            Description = "trec, or msmarco: the MS MARCO script's MRR (-M sets the depth)",
            DefaultValueFactory = _ => "trec",
        };
        rules.AcceptOnlyFromAmong("trec", "msmarco");
        Option<bool> json = new("--json") { Description = "Print one JSON object with unrounded values" };
        Option<bool> quiet = new("--quiet") { Description = "No warnings on standard error" };
        Argument<string> qrelsPath = new("QRELS") { Description = "Judgements: query 0 document grade, or BEIR's tsv" };
        Argument<string> runPath = new("RUN") { Description = "Run: query Q0 document rank score tag, or query document rank" };
        Command command = new(Name, Help)
        {
            complete, perQuery, noSummary, judgedOnly, level, depth, collection, zScores, measures, rules, json, quiet, qrelsPath, runPath,
        };
        command.SetAction(parsed =>
        {
            Qrels qrels = Qrels.Load(parsed.GetRequiredValue(qrelsPath));
            string run = parsed.GetRequiredValue(runPath);
            if (parsed.GetValue(rules) == "msmarco")
            {
                Print(MsMarcoEvaluation.Evaluate(qrels, run, parsed.GetValue(depth) ?? 10), parsed.GetValue(json));
                return ExitCodes.Done;
            }

            Evaluator evaluator = Evaluator.Create(parsed.GetValue(measures) ?? [], new EvaluationOptions
            {
                RelevanceLevel = parsed.GetValue(level),
                MaxRetrieved = parsed.GetValue(depth) ?? int.MaxValue,
                AllJudgedQueries = parsed.GetValue(complete),
                JudgedOnly = parsed.GetValue(judgedOnly),
                CollectionSize = parsed.GetValue(collection),
            });
            RunFile results = RunFile.Load(run);
            ZScores? reference = parsed.GetValue(zScores) is { } path ? ZScores.Load(path) : null;
            Evaluation.Evaluation evaluation = evaluator.Evaluate(qrels, results, reference);
            if (!parsed.GetValue(quiet)) Warn(evaluator, qrels, results);
            Print(evaluation, results.Tag, parsed.GetValue(perQuery), !parsed.GetValue(noSummary), reference is not null, parsed.GetValue(json));
            return ExitCodes.Done;
        });
        return command;
    }

    /// <summary>
    /// Takes apart what getopt lets a user of trec_eval write in one word: <c>-qc</c> is <c>-q -c</c>, <c>-M100</c> is <c>-M 100</c>,
    /// <c>-mP.5,10</c> is <c>-m P.5,10</c>. Command lines of other verbs are returned as they are.
    /// </summary>
    public static string[] SplitAttached(string[] arguments)
    {
        if (arguments.Length == 0 || arguments[0] != Name) return arguments;
        List<string> split = [];
        for (int i = 0; i < arguments.Length; i++)
        {
            string word = arguments[i];
            if (word.Length < 3 || word[0] != '-' || word[1] == '-')
            {
                split.Add(word);
                bool takesNext = word.Length == 2 && word[0] == '-' && OptionsWithValue.Contains(word[1], StringComparison.Ordinal);
                if (takesNext && i + 1 < arguments.Length) split.Add(arguments[++i]);
                continue;
            }

            int at = 1;
            while (at < word.Length && Flags.Contains(word[at], StringComparison.Ordinal)) split.Add($"-{word[at++]}");
            if (at == word.Length) continue;
            split.Add($"-{(OptionsWithValue.Contains(word[at], StringComparison.Ordinal) ? word[at++] : word[at..])}");
            if (at < word.Length) split.Add(word[at..]);
        }

        return [.. split];
    }

    private static void Warn(Evaluator evaluator, Qrels qrels, RunFile run)
    {
        foreach (string ignored in evaluator.IgnoredMeasures)
            Console.Error.WriteLine($"warning: -m {ignored} has no effect, as in trec_eval; give all depths at once, as in recall.10,100");
        int queries = 0, documents = 0, judgedDocuments = 0;
        foreach (string query in qrels.QueryIds)
        {
            if (!run.Contains(query))
            {
                queries++;
                continue;
            }

            HashSet<string> retrieved = [.. run[query].Select(static d => d.DocId)];
            judgedDocuments += qrels[query].Count;
            documents += qrels[query].Keys.Count(d => !retrieved.Contains(d));
        }

        if (queries + documents == 0) return;
        Console.Error.WriteLine(
            $"warning: the run lacks {queries} of {qrels.Count} judged queries, and of the others {documents} of {judgedDocuments} judged documents");
    }

    private static void Print(Evaluation.Evaluation evaluation, string tag, bool perQuery, bool summary, bool zScores, bool json)
    {
        if (!json)
        {
            StringWriter text = new(CultureInfo.InvariantCulture);
            TrecEvalFormat.Write(text, evaluation, perQuery, summary, zScores);
            Console.Out.Write(text.ToString());
            return;
        }

        JsonOutput.Print(writer =>
        {
            writer.WriteString("run", tag);
            writer.WriteNumber("queries", evaluation.QueryCount);
            if (summary)
            {
                writer.WriteStartObject("measures");
                foreach (MeasureResult measure in evaluation.Measures.Where(static m => m.IsNumber))
                    JsonNumbers.Write(writer, measure.Name, measure.Summary);
                writer.WriteEndObject();
            }

            if (!perQuery) return;
            writer.WriteStartObject("per_query");
            for (int q = 0; q < evaluation.QueryIds.Count; q++)
            {
                writer.WriteStartObject(evaluation.QueryIds[q]);
                foreach (MeasureResult measure in evaluation.Measures.Where(static m => m.IsNumber && m.HasQueryValues))
                    JsonNumbers.Write(writer, measure.Name, measure.PerQuery[q]);
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        });
    }

    private static void Print(MsMarcoEvaluation evaluation, bool json)
    {
        if (json)
        {
            JsonOutput.Print(writer =>
            {
                writer.WriteNumber("mrr", evaluation.MeanReciprocalRank);
                writer.WriteNumber("depth", evaluation.Depth);
                writer.WriteNumber("queries_ranked", evaluation.QueriesRanked);
            });
            return;
        }

        string mean = evaluation.MeanReciprocalRank.ToString("R", CultureInfo.InvariantCulture);
        const string Line = "#####################";
        Console.Out.Write($"{Line}\nMRR @{evaluation.Depth}: {mean}\nQueriesRanked: {evaluation.QueriesRanked}\n{Line}\n");
    }
}
