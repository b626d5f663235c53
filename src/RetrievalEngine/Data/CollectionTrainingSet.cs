using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Data;

/// <summary>
/// Rows out of a BEIR folder: the queries that the train split judges, in the order of the judgements, each with its relevant documents.
/// </summary>
internal sealed class CollectionTrainingSet : TrainingSet
{
    private readonly DocumentStore _corpus;
    private readonly List<(Query Query, string[] PositiveIds)> _rows = [];
    private readonly List<string> _warnings = [];

    private CollectionTrainingSet(BeirFolder files, DocumentStore corpus)
    {
        _corpus = corpus;
        ContentHash = Convert.ToHexStringLower(SHA256.HashData([.. corpus.Hash, .. HashOf(files.QueriesPath), .. HashOf(files.QrelsPath)]));
    }

    public override TrainingFormat Format => TrainingFormat.Beir;

    public override int Count => _rows.Count;

    public override string ContentHash { get; }

    public override IReadOnlyList<string> Warnings => _warnings;

    public override TrainingRow this[int index]
    {
        get
        {
            (Query query, string[] positives) = _rows[index];
            return new TrainingRow(query.Id, query.Text, [.. positives.Select(Find)], [], query.Prompt);
        }
    }

    public static CollectionTrainingSet OpenFolder(string folder, string? corpus)
    {
        BeirFolder files = BeirFolder.Open(folder, "train");
        return Open(corpus is null ? files : files with { CorpusPath = corpus });
    }

    public static CollectionTrainingSet Open(BeirFolder files)
    {
        DocumentStore documents = DocumentStore.Open(files.CorpusPath);
        try
        {
            CollectionTrainingSet set = new(files, documents);
            set.ReadRows(files);
            return set;
        }
        catch
        {
            documents.Dispose();
            throw;
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) _corpus.Dispose();
    }

    private void ReadRows(BeirFolder files)
    {
        Qrels qrels = Qrels.Load(files.QrelsPath);
        Dictionary<string, Query> queries = new(StringComparer.Ordinal);
        foreach (Query query in Queries.Read(files.QueriesPath))
        {
            if (qrels.TryGet(query.Id, out _)) queries.Add(query.Id, query);
        }

        int unknownQueries = 0, unknownDocuments = 0, withoutPositives = 0;
        foreach (string id in qrels.QueryIds)
        {
            if (!queries.TryGetValue(id, out Query query))
            {
                unknownQueries++;
                continue;
            }

            string[] relevant = [.. qrels[id].Where(static grade => grade.Value > 0).Select(static grade => grade.Key)];
            string[] positives = [.. relevant.Where(docId => _corpus.TryGet(docId, out _))];
            unknownDocuments += relevant.Length - positives.Length;
            if (positives.Length > 0) _rows.Add((query, positives));
            else withoutPositives++;
        }

        Warn(unknownQueries, $"judged queries are not in {files.QueriesPath} and are left out");
        Warn(unknownDocuments, $"relevant documents of {files.QrelsPath} are not in {_corpus.Path} and are left out");
        Warn(withoutPositives, "queries without a relevant document are left out");
        if (_rows.Count == 0)
            throw new InputException($"{files.QrelsPath}: no query of {files.QueriesPath} has a relevant document in {_corpus.Path}");
    }

    private void Warn(int count, string what)
    {
        if (count > 0) _warnings.Add($"{count} {what}");
    }

    private Document Find(string id) =>
        _corpus.TryGet(id, out Document document) ? document : throw new InputException($"{_corpus.Path}: document \"{id}\" is gone");

    private static byte[] HashOf(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return SHA256.HashData(stream);
    }
}
