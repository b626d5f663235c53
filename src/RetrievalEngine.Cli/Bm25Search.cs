using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Data;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Search;

namespace RetrievalEngine.Cli;

/// <summary>Search by BM25 over a corpus that is read and indexed in memory first: what <c>--method bm25</c> of several verbs does.</summary>
internal static class Bm25Search
{
    /// <summary>Documents or queries between two progress reports.</summary>
    private const int ReportInterval = 1000;

    /// <summary><c>--bm25-k1</c>.</summary>
    public static Option<double> K1() => Parameter("--bm25-k1", "BM25: how long repeated words go on counting", Bm25Options.Default.K1, 1000);

    /// <summary><c>--bm25-b</c>.</summary>
    public static Option<double> B() => Parameter("--bm25-b", "BM25: how much long documents are held back, 0 to 1", Bm25Options.Default.B, 1);

    /// <summary>
    /// Streams a corpus, reports how far it is, and in the end says on standard error how many documents are without text.
    /// </summary>
    public static IEnumerable<Document> ReadCorpus(string corpus, CorpusFormat format, bool quiet, IProgress<ProgressUpdate> progress)
    {
        int done = 0, empty = 0;
        foreach (Document document in Corpus.Read(corpus, format))
        {
            if (document.Title.Length + document.Text.Length == 0) empty++;
            if (++done % ReportInterval == 0) progress.Report(new ProgressUpdate("read corpus", done, 0, "documents"));
            yield return document;
        }

        progress.Report(new ProgressUpdate("read corpus", done, done, "documents"));
        if (empty > 0 && !quiet) Console.Error.WriteLine($"warning: {empty} documents have no text");
    }

    /// <summary>Indexes title and text of <paramref name="documents"/>, which may be streamed.</summary>
    public static Bm25Index Index(IEnumerable<Document> documents, Bm25Options options, CancellationToken stop) =>
        Bm25Index.Build(documents.Select(static d => (d.Id, $"{d.Title} {d.Text}")), options, stop);

    /// <summary>The best <paramref name="depth"/> documents of each query, as a run in the order of the queries.</summary>
    public static RunFile Search(
        Bm25Index index, IReadOnlyList<Query> queries, int depth, int threads, IProgress<ProgressUpdate> progress, CancellationToken stop)
    {
        SearchHit[][] hits = new SearchHit[queries.Count][];
        ParallelOptions parallel = new() { MaxDegreeOfParallelism = Threads(threads), CancellationToken = stop };
        for (int start = 0; start < queries.Count; start += ReportInterval)
        {
            int end = Math.Min(start + ReportInterval, queries.Count);
            Parallel.For(start, end, parallel, i => hits[i] = index.Search(queries[i].Text, depth));
            progress.Report(new ProgressUpdate("search", end, queries.Count, "queries"));
        }

        RunFile run = new("bm25");
        for (int i = 0; i < queries.Count; i++) run.Add(queries[i].Id, hits[i].Select(h => new ScoredDocument(index.Ids[h.Row], h.Score)));
        return run;
    }

    /// <summary><c>--threads</c> as a number of threads: 0 is one a core.</summary>
    public static int Threads(int threads) => threads > 0 ? threads : Environment.ProcessorCount;

    private static Option<double> Parameter(string name, string description, double standard, double largest)
    {
        Option<double> option = new(name) { Description = description, HelpName = "X", DefaultValueFactory = _ => standard };
        option.Validators.Add(result =>
        {
            double value = result.GetValueOrDefault<double>();
            if (!(value >= 0 && value <= largest)) result.AddError($"{name} must lie between 0 and {largest}");
        });
        return option;
    }
}
