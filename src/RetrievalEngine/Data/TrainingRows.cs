using System.Collections.Generic;
using System.IO;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RetrievalEngine.Data;

/// <summary>
/// Writes Tevatron's inline layout, which <see cref="TrainingSet"/> reads, one JSON object a line:
/// <c>{"query_id", "query", "positive_passages": [{"docid", "title", "text"}], "negative_passages"}</c>.
/// </summary>
public static class TrainingRows
{
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

    private static void Write(Stream stream, TrainingRow row)
    {
        using (Utf8JsonWriter json = new(stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("query_id", row.QueryId);
            json.WriteString("query", row.Query);
            if (row.Prompt is not null) json.WriteString("prompt", row.Prompt);
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
