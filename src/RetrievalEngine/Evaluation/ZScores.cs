using System;
using System.Collections.Generic;

namespace RetrievalEngine.Evaluation;

/// <summary>
/// Means and standard deviations of measures over reference runs (<c>-Z FILE</c>, lines <c>query measure mean deviation</c>), to express a value
/// as its distance from the mean in deviations.
/// </summary>
public sealed class ZScores
{
    /// <summary>The score where the file has no entry, as in trec_eval.</summary>
    public const double Missing = -1_000_000;

    private readonly Dictionary<(string Query, string Measure), (double Mean, double Deviation)> _entries = [];

    /// <summary>Reads the file.</summary>
    /// <exception cref="InputException">It is absent or a line is malformed.</exception>
    public static ZScores Load(string path)
    {
        using Utf8LineReader reader = Utf8LineReader.Open(path);
        return Read(reader);
    }

    internal static ZScores Read(Utf8LineReader reader)
    {
        ZScores scores = new();
        Span<Range> fields = stackalloc Range[4];
        while (reader.TryRead(out ReadOnlySpan<byte> line))
        {
            int count = TrecFields.Split(line, fields);
            if (count == 0) continue;
            if (count != 4) throw reader.Error("a line has 4 columns (query measure mean deviation)");
            double mean = Number(reader, line[fields[2]]), deviation = Number(reader, line[fields[3]]);
            if (!scores._entries.TryAdd((TrecFields.Text(line[fields[0]]), TrecFields.Text(line[fields[1]])), (mean, deviation)))
                throw reader.Error("the measure is there twice for this query");
        }

        return scores;
    }

    internal double Convert(string query, string measure, double value)
    {
        if (!_entries.TryGetValue((query, measure), out (double Mean, double Deviation) entry)) return Missing;
        if (entry.Deviation != 0) return (value - entry.Mean) / entry.Deviation;
        return value == entry.Mean ? 0 : Missing;
    }

    /// <summary>
    /// Unlike a score, a mean may be NaN: of a measure that a reference run leaves undefined. Its sign, which .NET sets, is C's: none.
    /// </summary>
    private static double Number(Utf8LineReader reader, ReadOnlySpan<byte> field)
    {
        if (TrecFields.TryScore(field, out double value)) return value;
        return double.IsNaN(value) ? Math.CopySign(double.NaN, 1) : throw reader.Error($"\"{TrecFields.Text(field)}\" is not a number");
    }
}
