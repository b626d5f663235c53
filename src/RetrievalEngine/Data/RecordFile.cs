using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;

namespace RetrievalEngine.Data;

/// <summary>
/// Streams files with one record of id, title and text a line: JSON objects or <c>id⇥text</c>. Empty lines are skipped. Ids are remembered, so that
/// one that comes twice is refused with both lines.
/// </summary>
internal static class RecordFile
{
    /// <summary>
    /// <paramref name="path"/> itself where it is no folder, else the first of <paramref name="names"/> that is in the folder.
    /// </summary>
    /// <exception cref="InputException">The folder has none of them.</exception>
    public static string Resolve(string path, params ReadOnlySpan<string> names)
    {
        if (!Directory.Exists(path)) return path;
        foreach (string name in names)
        {
            string file = Path.Combine(path, name);
            if (File.Exists(file)) return file;
        }

        throw new InputException($"{path}: there is no {string.Join(" or ", names!)} in this folder");
    }

    /// <summary>
    /// The records of a file. <paramref name="layouts"/> are the JSON layouts that it may have, of which the first line's fields decide;
    /// without any, it has lines <c>id⇥text</c>, and those are accepted besides JSON where <paramref name="allowTsv"/>.
    /// </summary>
    /// <exception cref="InputException">A line is malformed, an id comes twice, or there is no record.</exception>
    public static IEnumerable<(string Id, string Title, string Text)> Read(
        Utf8LineReader reader, IReadOnlyList<RecordLayout> layouts, bool allowTsv, string what)
    {
        Dictionary<string, long> lines = [];
        RecordLayout? layout = null;
        while (TryReadRecord(reader, layouts, allowTsv, lines, ref layout, out (string Id, string Title, string Text) record)) yield return record;
        if (lines.Count == 0) throw new InputException($"{reader.Name} holds no {what}");
    }

    private static bool TryReadRecord(
        Utf8LineReader reader,
        IReadOnlyList<RecordLayout> layouts,
        bool allowTsv,
        Dictionary<string, long> lines,
        ref RecordLayout? layout,
        out (string Id, string Title, string Text) record)
    {
        while (reader.TryRead(out ReadOnlySpan<byte> line))
        {
            if (line.IsEmpty || line.Trim(" \t"u8).IsEmpty) continue;
            bool isJson = layouts.Count > 0 && (!allowTsv || line[0] == (byte)'{');
            if (lines.Count == 0 && isJson) layout = Detect(reader, line, layouts);
            record = layout is null ? SplitTsv(reader, line) : ParseJson(reader, line, layout);
            if (record.Id.Length == 0) throw reader.Error("the id is empty");
            if (!lines.TryAdd(record.Id, reader.LineNumber))
                throw reader.Error($"id \"{record.Id}\" is there already in line {lines[record.Id]}; ids must be unique");
            return true;
        }

        record = default;
        return false;
    }

    private static RecordLayout Detect(Utf8LineReader reader, ReadOnlySpan<byte> line, IReadOnlyList<RecordLayout> layouts)
    {
        JsonFields first = JsonFields.Parse(line, $"{reader.Name} line {reader.LineNumber}");
        return layouts.FirstOrDefault(l => first.Has(l.Id) && first.Has(l.Text))
            ?? layouts.FirstOrDefault(l => first.Has(l.Id))
            ?? throw reader.Error($"field \"{string.Join("\" or \"", layouts.Select(static l => l.Id).Distinct())}\" is missing");
    }

    private static (string Id, string Title, string Text) SplitTsv(Utf8LineReader reader, ReadOnlySpan<byte> line)
    {
        int tab = line.IndexOf((byte)'\t');
        if (tab < 0) throw reader.Error("there is no tab between id and text");
        return (System.Text.Encoding.UTF8.GetString(line[..tab]), "", System.Text.Encoding.UTF8.GetString(line[(tab + 1)..]));
    }

    private static (string Id, string Title, string Text) ParseJson(Utf8LineReader reader, ReadOnlySpan<byte> line, RecordLayout layout)
    {
        string?[] values = new string?[3];
        Utf8JsonReader json = new(line);
        try
        {
            json.Read();
            if (json.TokenType != JsonTokenType.StartObject) throw reader.Error("a JSON object is needed");
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                int field = json.ValueTextEquals(layout.Id) ? 0
                    : json.ValueTextEquals(layout.Text) ? 1
                    : layout.Title is not null && json.ValueTextEquals(layout.Title) ? 2
                    : -1;
                json.Read();
                if (field < 0)
                {
                    json.Skip();
                    continue;
                }

                string name = field == 0 ? layout.Id : field == 1 ? layout.Text : layout.Title!;
                if (values[field] is not null) throw reader.Error($"field \"{name}\" is there twice");
                values[field] = json.TokenType switch
                {
                    JsonTokenType.String => json.GetString(),
                    JsonTokenType.Null => null,
                    JsonTokenType.Number when field == 0 => System.Text.Encoding.UTF8.GetString(json.ValueSpan),
                    _ => throw reader.Error($"field \"{name}\" must be a string, not {json.TokenType}"),
                };
            }

            // Anything behind the object is an error of the JSON reader.
            json.Read();
        }
        catch (JsonException e)
        {
            throw new InputException($"{reader.Name} line {reader.LineNumber}: not valid JSON: {JsonFields.FirstSentence(e.Message)}", e);
        }
        catch (InvalidOperationException e)
        {
            throw new InputException($"{reader.Name} line {reader.LineNumber}: a string is not valid Unicode (half of a surrogate pair)", e);
        }

        return (
            values[0] ?? throw reader.Error($"field \"{layout.Id}\" is missing"),
            values[2] ?? "",
            values[1] ?? throw reader.Error($"field \"{layout.Text}\" is missing"));
    }
}
