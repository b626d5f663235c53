using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using RetrievalEngine.Data;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Reranking;

namespace RetrievalEngine.Training;

/// <summary>Judged queries with what a retriever found for them, to see during training whether the model becomes a better reranker.</summary>
internal sealed class RerankDevSet : IDisposable
{
    private readonly DocumentLookup _corpus;
    private readonly Dictionary<string, string> _queries;
    private readonly Qrels _qrels;
    private readonly RunFile _run;
    private readonly int _depth;

    private RerankDevSet(DocumentLookup corpus, Dictionary<string, string> queries, Qrels qrels, RunFile run, int depth)
    {
        _corpus = corpus;
        _queries = queries;
        _qrels = qrels;
        _run = run;
        _depth = depth;
    }

    /// <summary>Judged queries that the run has.</summary>
    public int Queries => _run.QueryIds.Count;

    /// <summary>Reads a BEIR folder's <paramref name="split"/> and the run of a retriever on it, of which the best <paramref name="depth"/> documents count.</summary>
    /// <exception cref="InputException">A file is missing or damaged, or the run has no judged query.</exception>
    public static RerankDevSet Open(string folder, string split, string run, int depth)
    {
        BeirFolder files = BeirFolder.Open(folder, split);
        Qrels qrels = Qrels.Load(files.QrelsPath);
        Dictionary<string, string> queries = Data.Queries.Read(files.QueriesPath).Where(query => qrels.TryGet(query.Id, out _)).ToDictionary(query => query.Id, query => query.Text);
        RunFile all = RunFile.Load(run), judged = new("dev");
        foreach (string id in all.QueryIds.Where(queries.ContainsKey)) judged.Add(id, all[id]);
        if (judged.QueryIds.Count == 0) throw new InputException($"{run} has no query that is judged in {files.QrelsPath}");
        return new RerankDevSet(DocumentLookup.Open(files.CorpusPath), queries, qrels, judged, depth);
    }

    /// <summary>MRR@10 and nDCG@10 of the order that <paramref name="encoder"/> gives as it is now.</summary>
    public IReadOnlyDictionary<string, double> Evaluate(CrossEncoder encoder, CancellationToken cancellation)
    {
        Reranker reranker = new(encoder, _corpus.Find);
        return DevMeasures.Of(_qrels, reranker.Rerank(_run, _queries, _depth, cancellation: cancellation).Run, ["mrr@10", "ndcg@10"]);
    }

    /// <inheritdoc/>
    public void Dispose() => _corpus.Dispose();
}
