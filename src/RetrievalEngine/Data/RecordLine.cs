using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;

namespace RetrievalEngine.Data;

/// <summary>One record of id, title and text in a line: a JSON object or <c>id⇥text</c>. Complaints name file and line.</summary>
internal static class RecordLine
{
    /// <summary>Which of <paramref name="layouts"/> the JSON line has.</summary>
    public static RecordLayout Detect(ReadOnlySpan<byte> line, IReadOnlyList<RecordLayout> layouts, string file, long number)
    {
        JsonFields first = JsonFields.Parse(line, $"{file} line {number}");
        return layouts.FirstOrDefault(l => first.Has(l.Id) && first.Has(l.Text))
            ?? layouts.FirstOrDefault(l => first.Has(l.Id))
            ?? throw Error(file, number, $"field \"{string.Join("\" or \"", layouts.Select(static l => l.Id).Distinct())}\" is missing");
    }

    /// <summary>The record of a line; <c>id⇥text</c> without a layout.</summary>
    public static (string Id, string Title, string Text) Parse(ReadOnlySpan<byte> line, RecordLayout? layout, string file, long number)
    {
        (string Id, string Title, string Text) record = layout is null ? SplitTsv(line, file, number) : ParseJson(line, layout, file, number);
        return record.Id.Length > 0 ? record : throw Error(file, number, "the id is empty");
    }

    private static (string Id, string Title, string Text) SplitTsv(ReadOnlySpan<byte> line, string file, long number)
    {
        int tab = line.IndexOf((byte)'\t');
        if (tab < 0) throw Error(file, number, "there is no tab between id and text");
        return (System.Text.Encoding.UTF8.GetString(line[..tab]), "", System.Text.Encoding.UTF8.GetString(line[(tab + 1)..]));
    }

    private static (string Id, string Title, string Text) ParseJson(ReadOnlySpan<byte> line, RecordLayout layout, string file, long number)
    {
        string?[] values = new string?[3];
        Utf8JsonReader json = new(line);
        try
        {
            json.Read();
            if (json.TokenType != JsonTokenType.StartObject) throw Error(file, number, "a JSON object is needed");
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
                if (values[field] is not null) throw Error(file, number, $"field \"{name}\" is there twice");
                values[field] = json.TokenType switch
                {
                    JsonTokenType.String => json.GetString(),
                    JsonTokenType.Null => null,
                    JsonTokenType.Number when field == 0 => System.Text.Encoding.UTF8.GetString(json.ValueSpan),
                    _ => throw Error(file, number, $"field \"{name}\" must be a string, not {json.TokenType}"),
                };
            }

            // Anything behind the object is an error of the JSON reader.
            json.Read();
        }
        catch (JsonException e)
        {
            throw new InputException($"{file} line {number}: not valid JSON: {JsonFields.FirstSentence(e.Message)}", e);
        }
        catch (InvalidOperationException e)
        {
            throw new InputException($"{file} line {number}: a string is not valid Unicode (half of a surrogate pair)", e);
        }

        return (
            values[0] ?? throw Error(file, number, $"field \"{layout.Id}\" is missing"),
            values[2] ?? "",
            values[1] ?? throw Error(file, number, $"field \"{layout.Text}\" is missing"));
    }

    private static InputException Error(string file, long number, string what) => new($"{file} line {number}: {what}");
}
