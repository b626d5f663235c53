using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Data;

/// <summary>Streams the documents of a corpus.</summary>
public static class Corpus
{
    private static readonly Dictionary<CorpusFormat, RecordLayout> s_layouts = new()
    {
        [CorpusFormat.Beir] = new("_id", "text", "title"),
        [CorpusFormat.Tevatron] = new("docid", "text", "title"),
        [CorpusFormat.Pyserini] = new("id", "contents"),
        [CorpusFormat.FlagEmbedding] = new("id", "text", "title"),
    };

    /// <summary>
    /// The documents of the file <paramref name="path"/>, or of <c>corpus.jsonl</c> or <c>corpus.tsv</c> or <c>collection.tsv</c> in the folder
    /// <paramref name="path"/>, in file order. Errors come while it is enumerated.
    /// </summary>
    /// <exception cref="InputException">The file is absent or empty, a line is malformed or not UTF-8, or an id comes twice.</exception>
    public static IEnumerable<Document> Read(string path, CorpusFormat format = CorpusFormat.Auto)
    {
        using Utf8LineReader reader = Utf8LineReader.Open(Resolve(path));
        foreach (Document document in Read(reader, format)) yield return document;
    }

    /// <summary>The JSON layouts that a corpus may have.</summary>
    internal static IReadOnlyList<RecordLayout> Layouts => [.. s_layouts.Values];

    /// <summary>The file of documents: <paramref name="path"/>, or the one in that folder.</summary>
    internal static string Resolve(string path) => RecordFile.Resolve(path, "corpus.jsonl", "corpus.tsv", "collection.tsv");

    internal static IEnumerable<Document> Read(Utf8LineReader reader, CorpusFormat format)
    {
        RecordLayout[] layouts = [.. s_layouts.Where(l => format == CorpusFormat.Auto || l.Key == format).Select(static l => l.Value)];
        return RecordFile.Read(reader, layouts, format is CorpusFormat.Auto or CorpusFormat.Tsv, "documents")
            .Select(static r => new Document(r.Id, r.Title, r.Text));
    }
}
