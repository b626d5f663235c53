using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using RetrievalEngine.Data;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Cli;

/// <summary>
/// Prints what was found for one query: a line a document with rank, score, id and, where a corpus was given, title and the beginning of the text.
/// </summary>
internal static class SearchResults
{
    private const int PrintedLength = 300;

    /// <summary>Prints <paramref name="hits"/>; their documents are picked from <paramref name="corpus"/>, if any.</summary>
    public static void Print(string query, IReadOnlyList<ScoredDocument> hits, IEnumerable<Document>? corpus, bool json, bool quiet)
    {
        HashSet<string> wanted = [.. hits.Select(static h => h.DocId)];
        Dictionary<string, Document> documents = corpus?.Where(d => wanted.Contains(d.Id)).ToDictionary(static d => d.Id) ?? [];
        if (corpus is not null && !quiet && documents.Count < wanted.Count)
            Console.Error.WriteLine($"warning: the corpus lacks {wanted.Count - documents.Count} of {wanted.Count} documents found");
        if (json) PrintJson(query, hits, documents);
        else PrintLines(hits, documents);
    }

    private static void PrintJson(string query, IReadOnlyList<ScoredDocument> hits, Dictionary<string, Document> documents) =>
        JsonOutput.Print(writer =>
    {
        writer.WriteString("query", query);
        writer.WriteStartArray("hits");
        for (int i = 0; i < hits.Count; i++)
        {
            writer.WriteStartObject();
            writer.WriteNumber("rank", i + 1);
            writer.WriteNumber("score", hits[i].Score);
            writer.WriteString("id", hits[i].DocId);
            if (documents.TryGetValue(hits[i].DocId, out Document document))
            {
                writer.WriteString("title", document.Title);
                writer.WriteString("text", document.Text);
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });

    private static void PrintLines(IReadOnlyList<ScoredDocument> hits, Dictionary<string, Document> documents)
    {
        for (int i = 0; i < hits.Count; i++)
        {
            string line = string.Create(CultureInfo.InvariantCulture, $"{i + 1}\t{hits[i].Score:F4}\t{hits[i].DocId}");
            if (documents.TryGetValue(hits[i].DocId, out Document document)) line += $"\t{OneLine(document.Title)}\t{OneLine(document.Text)}";
            Console.Out.WriteLine(line);
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
