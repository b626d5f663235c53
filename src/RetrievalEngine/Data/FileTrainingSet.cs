using System;
using System.Collections.Generic;
using System.Linq;
using System.Security.Cryptography;

namespace RetrievalEngine.Data;

/// <summary>Rows that are lines of a JSONL file.</summary>
internal sealed class FileTrainingSet : TrainingSet
{
    private readonly LineFile _lines;
    private readonly DocumentStore? _corpus;

    private FileTrainingSet(LineFile lines, TrainingFormat format, DocumentStore? corpus)
    {
        _lines = lines;
        _corpus = corpus;
        Format = format;
        ContentHash = Convert.ToHexStringLower(corpus is null ? lines.Hash : SHA256.HashData([.. lines.Hash, .. corpus.Hash]));
    }

    public override TrainingFormat Format { get; }

    public override int Count => _lines.Count;

    public override string ContentHash { get; }

    public override IReadOnlyList<string> Warnings => RowsWithoutPositives == 0
        ? []
        : [$"{_lines.Path}: {RowsWithoutPositives} rows without a positive passage are left out"];

    private int RowsWithoutPositives { get; set; }

    public override TrainingRow this[int index]
    {
        get
        {
            try
            {
                return Parse(index, _lines.Path);
            }
            catch (InputException)
            {
                // Once more, for the sentence: the line's number takes a pass over the file.
                return Parse(index, $"{_lines.Path} line {_lines.LineNumber(index)}");
            }
        }
    }

    public static FileTrainingSet OpenFile(string path, TrainingFormat format, string? corpus, IProgress<ProgressUpdate>? progress)
    {
        LineFile lines = LineFile.Open(path);
        DocumentStore? documents = null;
        try
        {
            if (lines.Count == 0) throw new InputException($"{path} holds no rows");
            if (format == TrainingFormat.Auto) format = Detect(JsonFields.Parse(lines[0], $"{path} line {lines.LineNumber(0)}"));
            if (format == TrainingFormat.TevatronIds)
                documents = DocumentStore.Open(corpus ?? throw new InputException($"{path} names passages by id: give their corpus (--corpus)"));
            FileTrainingSet set = new(lines, format, documents);
            set.CheckRows(progress);
            return set;
        }
        catch
        {
            lines.Dispose();
            documents?.Dispose();
            throw;
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (!disposing) return;
        _lines.Dispose();
        _corpus?.Dispose();
    }

    private static TrainingFormat Detect(JsonFields first)
    {
        if (first.Has("positive_passages")) return TrainingFormat.Tevatron;
        if (first.Has("positive_document_ids")) return TrainingFormat.TevatronIds;
        if (first.Has("pos")) return TrainingFormat.FlagEmbedding;
        throw new InputException(
            $"{first.Where}: no field \"positive_passages\", \"positive_document_ids\" or \"pos\", one of which training data has");
    }

    private void CheckRows(IProgress<ProgressUpdate>? progress)
    {
        HashSet<int> dropped = [];
        for (int row = 0; row < _lines.Count; row++)
        {
            if (this[row].Positives.Count == 0) dropped.Add(row);
            if (row % 1000 == 999) progress?.Report(new ProgressUpdate("read training data", row + 1, _lines.Count, "rows"));
        }

        RowsWithoutPositives = dropped.Count;
        if (dropped.Count == _lines.Count) throw new InputException($"{_lines.Path}: no row has a positive passage");
        if (dropped.Count > 0) _lines.RemoveAll(dropped.Contains);
    }

    private TrainingRow Parse(int row, string where)
    {
        JsonFields fields = JsonFields.Parse(_lines[row], where);
        string? prompt = fields.TextOrNull("prompt");
        return Format switch
        {
            TrainingFormat.Tevatron => new TrainingRow(
                fields.Identifier("query_id"), fields.Text("query"),
                Passages(fields, "positive_passages"), Passages(fields, "negative_passages"), prompt),
            TrainingFormat.TevatronIds => new TrainingRow(
                fields.Identifier("query_id"), fields.Text("query_text"),
                Find(fields, "positive_document_ids"), Find(fields, "negative_document_ids"), prompt),
            _ => new TrainingRow(
                fields.IdentifierOrNull("query_id") ?? fields.IdentifierOrNull("qid") ?? IdOf(fields.Text("query")),
                fields.Text("query"), Texts(fields, "pos"), Texts(fields, "neg"), prompt),
        };
    }

    private static Document[] Passages(JsonFields row, string name) =>
        [.. (row.ObjectsOrNull(name) ?? []).Select(static p => new Document(p.Identifier("docid"), p.TextOrNull("title") ?? "", p.Text("text")))];

    private Document[] Find(JsonFields row, string name) => [.. (row.IdentifiersOrNull(name) ?? []).Select((id, i) =>
        _corpus!.TryGet(id, out Document document) ? document : throw row.Error($"{name}[{i}]", $"is \"{id}\", which is not in {_corpus.Path}"))];

    private static Document[] Texts(JsonFields row, string name) =>
        [.. (row.TextsOrNull(name) ?? []).Select(static text => new Document(IdOf(text), "", text))];

    /// <summary>Texts without an id are known by their content, so that the same passage in two rows is the same document.</summary>
    private static string IdOf(string text) => Convert.ToHexStringLower(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(text)).AsSpan(0, 12));
}
