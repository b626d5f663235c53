using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;

namespace RetrievalEngine.Data;

/// <summary>Reads pairs of sentences with scores (semantic textual similarity).</summary>
public static class SentencePairs
{
    // The columns of the STS benchmark: genre, file, year, id, score, two sentences, perhaps their sources.
    private static readonly Columns s_benchmark = new(4, 5, 6), s_scoreFirst = new(0, 1, 2), s_scoreLast = new(2, 0, 1);

    private static readonly string[][] s_names =
        [["score", "similarity_score", "label", "similarity"], ["sentence1", "sentence_a", "text1", "premise"], ["sentence2", "sentence_b", "text2", "hypothesis"]];

    /// <summary>
    /// The pairs of the file <paramref name="path"/>, which its first line tells: JSON lines with <c>sentence1</c>, <c>sentence2</c> and <c>score</c>; the STS
    /// benchmark's tab-separated columns, without quoting; three tab-separated columns, the score first or last; or columns under a header of those names,
    /// separated by tabs or, with quotes as in CSV, by commas.
    /// </summary>
    /// <exception cref="InputException">The file is absent or empty, or a line is malformed.</exception>
    public static IReadOnlyList<SentencePair> Read(string path)
    {
        using Utf8LineReader reader = Utf8LineReader.Open(path);
        return Read(reader);
    }

    internal static List<SentencePair> Read(Utf8LineReader reader)
    {
        List<SentencePair> pairs = [];
        Columns? columns = null;
        bool isJson = false, hasTabs = false;
        while (reader.TryRead(out ReadOnlySpan<byte> line))
        {
            if (line.Trim(" \t"u8).IsEmpty) continue;
            string text = System.Text.Encoding.UTF8.GetString(line);
            if (columns is null && !isJson)
            {
                isJson = text.TrimStart().StartsWith('{');
                hasTabs = text.Contains('\t', StringComparison.Ordinal);
                if (!isJson)
                {
                    columns = Detect(reader, Split(reader, text, hasTabs), out bool isHeader);
                    if (isHeader) continue;
                }
            }

            pairs.Add(isJson ? FromJson(line, reader) : FromColumns(reader, Split(reader, text, hasTabs), columns!));
        }

        return pairs.Count > 0 ? pairs : throw new InputException($"{reader.Name} holds no pairs of sentences");
    }

    private static SentencePair FromJson(ReadOnlySpan<byte> line, Utf8LineReader reader)
    {
        JsonFields fields = JsonFields.Parse(line, $"{reader.Name} line {reader.LineNumber}");
        string Name(int which) => s_names[which].FirstOrDefault(fields.Has) ?? s_names[which][0];
        return new SentencePair(fields.Text(Name(1)), fields.Text(Name(2)), fields.Number(Name(0), -1e9, 1e9));
    }

    private static SentencePair FromColumns(Utf8LineReader reader, List<string> fields, Columns columns)
    {
        int needed = Math.Max(columns.Score, columns.Second) + 1;
        if (fields.Count < needed) throw reader.Error($"{fields.Count} columns where {needed} are needed");
        return new SentencePair(fields[columns.First], fields[columns.Second], TryScore(fields[columns.Score], out double score)
            ? score : throw reader.Error($"score \"{fields[columns.Score]}\" in column {columns.Score + 1} is not a number"));
    }

    private static Columns Detect(Utf8LineReader reader, List<string> fields, out bool isHeader)
    {
        int[] named = [.. s_names.Select(names => fields.FindIndex(field => names.Contains(field.Trim(), StringComparer.OrdinalIgnoreCase)))];
        isHeader = Array.TrueForAll(named, at => at >= 0);
        if (isHeader) return new Columns(named[0], named[1], named[2]);
        if (fields.Count >= 7 && TryScore(fields[4], out _)) return s_benchmark;
        if (fields.Count == 3 && TryScore(fields[0], out _)) return s_scoreFirst;
        if (fields.Count == 3 && TryScore(fields[2], out _)) return s_scoreLast;
        throw reader.Error("is neither JSON, nor the STS benchmark's seven columns, nor three columns with a score first or last, nor a header with sentence1, sentence2 and score");
    }

    private static bool TryScore(string field, out double score) =>
        double.TryParse(field, NumberStyles.Float, CultureInfo.InvariantCulture, out score) && double.IsFinite(score);

    private static List<string> Split(Utf8LineReader reader, string line, bool hasTabs) => hasTabs ? [.. line.Split('\t')] : SplitCsv(reader, line);

    private static List<string> SplitCsv(Utf8LineReader reader, string line)
    {
        List<string> fields = [];
        for (int i = 0; i <= line.Length; i++)
        {
            StringBuilder field = new();
            bool quoted = i < line.Length && line[i] == '"';
            if (quoted) i++;
            for (; i < line.Length && (quoted || line[i] != ','); i++)
            {
                if (!quoted || line[i] != '"') field.Append(line[i]);
                else if (i + 1 < line.Length && line[i + 1] == '"') field.Append(line[++i]);
                else quoted = false;
            }

            if (quoted) throw reader.Error("a quote is not closed; a text must stand on one line");
            fields.Add(field.ToString());
        }

        return fields;
    }

    private sealed record Columns(int Score, int First, int Second);
}
