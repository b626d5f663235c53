using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RetrievalEngine.Cli.Demo;

/// <summary>Writes the demo's collection in the formats that the verbs read: JSONL corpus and queries, TREC judgements.</summary>
internal static class DemoFiles
{
    /// <summary>File names inside the folder of a split.</summary>
    public const string Corpus = "corpus.jsonl", Queries = "queries.jsonl";

    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>
    /// Writes the documents of <paramref name="split"/> as a corpus, and at most <paramref name="mostQueries"/> of its queries (chosen by hash) with their judgements.
    /// </summary>
    /// <returns>How many documents and queries were written.</returns>
    public static (int Documents, int Queries) WriteSplit(string folder, DemoCollection collection, DemoSplit split, int mostQueries)
    {
        List<DemoDocument> documents = [.. collection.Documents.Where(d => d.Split == split)];
        List<DemoDocument> asked = [.. documents.Where(d => d.Query is not null).OrderBy(d => DemoCollection.Fraction(d.Id)).Take(mostQueries).OrderBy(d => d.Id, StringComparer.Ordinal)];
        WriteLines(Path.Combine(folder, Corpus), documents, (json, d) =>
        {
            json.WriteString("_id", d.Id);
            json.WriteString("title", d.Title);
            json.WriteString("text", d.Text);
        });
        WriteLines(Path.Combine(folder, Queries), asked, (json, d) =>
        {
            json.WriteString("_id", QueryId(d));
            json.WriteString("text", d.Query);
        });
        AtomicFile.Write(Path.Combine(folder, Qrels(split)), stream =>
        {
            using StreamWriter writer = new(stream, new System.Text.UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };
            foreach (DemoDocument d in asked) writer.WriteLine($"{QueryId(d)} 0 {d.Id} 1");
        });
        return (documents.Count, asked.Count);
    }

    /// <summary>Name of the file with the judgements of <paramref name="split"/>: <c>qrels.test.trec</c>.</summary>
    public static string Qrels(DemoSplit split) => $"qrels.{split.ToString().ToLowerInvariant()}.trec";

    /// <summary>The id of the query that <paramref name="document"/> answers.</summary>
    public static string QueryId(DemoDocument document) => $"q-{document.Id}";

    private static void WriteLines<T>(string path, List<T> items, Action<Utf8JsonWriter, T> writeFields)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        AtomicFile.Write(path, stream =>
        {
            using Utf8JsonWriter json = new(stream, s_json);
            foreach (T item in items)
            {
                json.WriteStartObject();
                writeFields(json, item);
                json.WriteEndObject();
                json.Flush();
                json.Reset();
                stream.WriteByte((byte)'\n');
            }
        });
    }
}
