using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using RetrievalEngine.Data;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Search;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>search</c>.</summary>
internal static class SearchCommand
{
    private const int PrintedLength = 300;

    private const string Help = """
        Finds the best documents of each query and writes them as a run.

        Examples:
          retrieval search --method bm25 --corpus scifact --queries scifact/queries.jsonl --output bm25.run
          retrieval search --method bm25 --corpus corpus.jsonl --query "what is a goldfish" --depth 5

        A run has TREC's columns: query Q0 document rank score tag. A corpus is JSON lines (BEIR, Tevatron, Pyserini, FlagEmbedding) or id⇥text, or
        a folder with corpus.jsonl; queries are JSON lines or id⇥text. BM25 takes words of letters a-z and digits without 33 stop words, unstemmed.
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> method = new("--method") { Description = "How documents are scored", Required = true };
        method.AcceptOnlyFromAmong("bm25");
        Option<string> corpus = new("--corpus") { Description = "File or folder with the documents", HelpName = "PATH", Required = true };
        Option<CorpusFormat> format = new("--corpus-format") { Description = "Layout of the corpus", DefaultValueFactory = _ => CorpusFormat.Auto };
        Option<string?> queries = new("--queries") { Description = "File or folder with the queries", HelpName = "PATH" };
        Option<string?> query = new("--query") { Description = "One query; prints rank, score, id, title and text", HelpName = "TEXT" };
        Option<int?> depth = CommonOptions.Count("--depth", "Documents for each query (default 1000; 10 with --query)");
        Option<string?> output = new("--output") { Description = "Run to write; standard output where absent", HelpName = "RUN" };
        Option<RunFormat> runFormat = new("--output-format") { Description = "Columns of the run", DefaultValueFactory = _ => RunFormat.Trec };
        Option<double> k1 = Bm25Search.K1(), b = Bm25Search.B();
        Option<int> threads = CommonOptions.Threads();
        Option<bool> quiet = CommonOptions.Quiet();
        Option<bool> json = CommonOptions.Json("With --query: print one JSON object");
        Command command = new("search", Help) { method, corpus, format, queries, query, depth, output, runFormat, k1, b, threads, quiet, json };
        command.Validators.Add(result =>
        {
            bool file = result.GetResult(queries) is not null, text = result.GetResult(query) is not null;
            if (file == text) result.AddError("give either --queries PATH or --query TEXT");
            else if (text && result.GetResult(output) is not null) result.AddError("--query prints its result; --output goes with --queries");
        });
        command.SetAction((parsed, stop) =>
        {
            bool isQuiet = parsed.GetValue(quiet);
            string? text = parsed.GetValue(query);
            Query[] wanted = text is null ? [.. Queries.Read(parsed.GetRequiredValue(queries)!)] : [new Query("query", text)];
            int best = parsed.GetValue(depth) ?? (text is null ? 1000 : 10);
            Bm25Options options = new(parsed.GetValue(k1), parsed.GetValue(b));
            (List<Document> documents, RunFile run) = ProgressDisplay.Run(isQuiet, progress =>
            {
                List<Document> read = Bm25Search.ReadCorpus(parsed.GetRequiredValue(corpus), parsed.GetValue(format), isQuiet, progress, stop);
                Bm25Index index = Bm25Search.Index(read, options, progress, stop);
                return (read, Bm25Search.Search(index, wanted, best, parsed.GetValue(threads), progress, stop));
            });
            if (text is not null) Print(run[wanted[0].Id], documents, parsed.GetValue(json));
            else if (parsed.GetValue(output) is { } path) run.Write(path, parsed.GetValue(runFormat));
            else Print(run, parsed.GetValue(runFormat));
            return Task.FromResult(ExitCodes.Done);
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

    private static void Print(IReadOnlyList<ScoredDocument> hits, List<Document> documents, bool json)
    {
        Dictionary<string, Document> byId = documents.ToDictionary(static d => d.Id);
        if (json)
        {
            JsonOutput.Print(writer =>
            {
                writer.WriteStartArray("hits");
                foreach (ScoredDocument hit in hits)
                {
                    writer.WriteStartObject();
                    writer.WriteNumber("score", hit.Score);
                    writer.WriteString("id", hit.DocId);
                    writer.WriteString("title", byId[hit.DocId].Title);
                    writer.WriteString("text", byId[hit.DocId].Text);
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
            });
            return;
        }

        for (int i = 0; i < hits.Count; i++)
        {
            Document document = byId[hits[i].DocId];
            string score = hits[i].Score.ToString("F4", CultureInfo.InvariantCulture);
            Console.Out.WriteLine(string.Join('\t', i + 1, score, document.Id, OneLine(document.Title), OneLine(document.Text)));
        }
    }

    /// <summary>The beginning of a text, without the characters that end lines and columns.</summary>
    private static string OneLine(string text)
    {
        string start = text.Length <= PrintedLength ? text : string.Concat(text.AsSpan(0, PrintedLength), "…");
        return string.Create(start.Length, start, static (line, source) =>
        {
            for (int i = 0; i < line.Length; i++) line[i] = char.IsControl(source[i]) ? ' ' : source[i];
        });
    }
}
