using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RetrievalEngine.Data;

/// <summary>
/// Reads and writes Tevatron's inline layout, one JSON object a line:
/// <c>{"query_id", "query", "positive_passages": [{"docid", "title", "text"}], "negative_passages"}</c>.
/// </summary>
public static class TrainingRows
{
    /// <summary>The rows of the file <paramref name="path"/>, in file order. Errors come while it is enumerated.</summary>
    /// <exception cref="InputException">The file is absent or empty, or a line is malformed.</exception>
    public static IEnumerable<TrainingRow> Read(string path)
    {
        using Utf8LineReader reader = Utf8LineReader.Open(path);
        foreach (TrainingRow row in Read(reader)) yield return row;
    }

    /// <summary>
    /// Writes <paramref name="rows"/> to the file <paramref name="path"/>, which appears whole or not at all; returns how many there were.
    /// </summary>
    public static int Write(string path, IEnumerable<TrainingRow> rows)
    {
        int count = 0;
        AtomicFile.Write(path, stream =>
        {
            foreach (TrainingRow row in rows)
            {
                Write(stream, row);
                count++;
            }
        });
        return count;
    }

    internal static IEnumerable<TrainingRow> Read(Utf8LineReader reader)
    {
        bool any = false;
        while (reader.TryRead(out ReadOnlySpan<byte> line))
        {
            if (line.IsEmpty) continue;
            any = true;
            JsonFields row = JsonFields.Parse(line, $"{reader.Name} line {reader.LineNumber}");
            yield return new TrainingRow(
                row.Identifier("query_id"), row.Text("query"), Passages(row, "positive_passages"), Passages(row, "negative_passages"));
        }

        if (!any) throw new InputException($"{reader.Name} holds no rows");
    }

    private static Document[] Passages(JsonFields row, string name) =>
        [.. (row.ObjectsOrNull(name) ?? []).Select(static p => new Document(p.Identifier("docid"), p.TextOrNull("title") ?? "", p.Text("text")))];

    private static void Write(Stream stream, TrainingRow row)
    {
        using (Utf8JsonWriter json = new(stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("query_id", row.QueryId);
            json.WriteString("query", row.Query);
            Write(json, "positive_passages", row.Positives);
            Write(json, "negative_passages", row.Negatives);
            json.WriteEndObject();
        }

        stream.Write("\n"u8);
    }

    private static void Write(Utf8JsonWriter json, string name, IReadOnlyList<Document> passages)
    {
        json.WriteStartArray(name);
        foreach (Document passage in passages)
        {
            json.WriteStartObject();
            json.WriteString("docid", passage.Id);
            json.WriteString("title", passage.Title);
            json.WriteString("text", passage.Text);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
