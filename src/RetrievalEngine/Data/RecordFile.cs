using System;
using System.Collections.Generic;
using System.IO;

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
            if (lines.Count == 0 && isJson) layout = RecordLine.Detect(line, layouts, reader.Name, reader.LineNumber);
            record = RecordLine.Parse(line, layout, reader.Name, reader.LineNumber);
            if (!lines.TryAdd(record.Id, reader.LineNumber))
                throw reader.Error($"id \"{record.Id}\" is there already in line {lines[record.Id]}; ids must be unique");
            return true;
        }

        record = default;
        return false;
    }
}
