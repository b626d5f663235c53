using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Search;

namespace RetrievalEngine.Training;

/// <summary>
/// A fixed sub-corpus with judged queries, to see during training whether the model becomes a better retriever: every judged document, and others of the corpus up to a limit,
/// chosen by a hash of their ids, so that all runs on the same files measure on the same documents.
/// </summary>
public sealed class DevSet
{
    private const int Depth = 100;
    private readonly List<Document> _documents;
    private readonly List<Query> _queries;
    private readonly Qrels _qrels;

    private DevSet(List<Document> documents, List<Query> queries, Qrels qrels)
    {
        _documents = documents;
        _queries = queries;
        _qrels = qrels;
    }

    /// <summary>Documents of the sub-corpus.</summary>
    public int Documents => _documents.Count;

    /// <summary>Judged queries.</summary>
    public int Queries => _queries.Count;

    /// <summary>Reads a BEIR folder's <paramref name="split"/>, with at most <paramref name="corpusSize"/> documents (all judged ones in any case).</summary>
    /// <exception cref="InputException">A file is missing or damaged, or no query is judged.</exception>
    public static DevSet Open(string folder, string split, int corpusSize)
    {
        BeirFolder files = BeirFolder.Open(folder, split);
        Qrels qrels = Qrels.Load(files.QrelsPath);
        List<Query> queries = [.. Data.Queries.Read(files.QueriesPath).Where(query => qrels.TryGet(query.Id, out _))];
        if (queries.Count == 0) throw new InputException($"{files.QueriesPath}: no query is judged in {files.QrelsPath}");
        HashSet<string> judged = [.. queries.SelectMany(query => qrels[query.Id].Keys)];
        List<Document> documents = [.. Corpus.Read(files.CorpusPath)];
        if (documents.Count > corpusSize)
        {
            documents = [.. documents.Where(d => judged.Contains(d.Id)), .. documents.Where(d => !judged.Contains(d.Id))
                .OrderBy(d => Fnv(d.Id)).ThenBy(d => d.Id, StringComparer.Ordinal).Take(Math.Max(0, corpusSize - judged.Count))];
        }

        return new DevSet(documents, queries, qrels);
    }

    /// <summary>MRR@10, nDCG@10 and Recall@100 of the model behind <paramref name="encoder"/> as it is now.</summary>
    public IReadOnlyDictionary<string, double> Evaluate(IBackend backend, TextEncoder encoder, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(encoder);
        int width = encoder.Contract.Dimensions, depth = Math.Min(Depth, _documents.Count);
        float[] passages = encoder.EncodePassages(_documents, cancellation), queries = encoder.EncodeQueries(_queries, cancellation);
        using DeviceMemory memory = backend.Allocate((long)passages.Length * sizeof(float));
        Tensor rows = new(memory, 0, new Shape(_documents.Count, width), DType.F32);
        backend.Upload<float>(passages, rows);
        FlatIndex index = new(backend, width, [new VectorShard(rows)]);
        SearchResults found = index.Search(queries, depth, cancellation: cancellation);
        RunFile run = new("dev");
        for (int q = 0; q < _queries.Count; q++)
            run.Add(_queries[q].Id, Enumerable.Range(q * depth, depth).Where(i => found.Rows[i] >= 0).Select(i => new ScoredDocument(_documents[(int)found.Rows[i]].Id, found.Scores[i])));
        return DevMeasures.Of(_qrels, run, ["mrr@10", "ndcg@10", "recall@100"]);
    }

    private static ulong Fnv(string text)
    {
        ulong hash = 14695981039346656037;
        foreach (char c in text) hash = (hash ^ c) * 1099511628211;
        return Dropout.Mix(hash);
    }
}
