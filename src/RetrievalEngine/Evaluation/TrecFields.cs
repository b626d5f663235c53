using System;
using System.Globalization;
using System.Text;

namespace RetrievalEngine.Evaluation;

/// <summary>Columns of a TREC file: separated by any run of blanks or tabs.</summary>
internal static class TrecFields
{
    /// <summary>
    /// Finds the first <paramref name="fields"/>.Length columns of <paramref name="line"/> and returns how many the line has
    /// (at most one more than was asked for).
    /// </summary>
    public static int Split(ReadOnlySpan<byte> line, Span<Range> fields)
    {
        int count = 0;
        int at = 0;
        while (true)
        {
            while (at < line.Length && IsBlank(line[at])) at++;
            if (at == line.Length) return count;
            if (count == fields.Length) return count + 1;
            int start = at;
            while (at < line.Length && !IsBlank(line[at])) at++;
            fields[count++] = start..at;
        }
    }

    /// <summary>The field as a string; the line is valid UTF-8 already.</summary>
    public static string Text(ReadOnlySpan<byte> field) => System.Text.Encoding.UTF8.GetString(field);

    /// <summary>The field as an integer, with or without a sign.</summary>
    public static bool TryInteger(ReadOnlySpan<byte> field, out int value) =>
        int.TryParse(field, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value);

    /// <summary>The field as a score: a decimal number, or C's <c>inf</c> with or without a sign. NaN, which has no rank, is no score.</summary>
    public static bool TryScore(ReadOnlySpan<byte> field, out double value)
    {
        if (double.TryParse(field, NumberStyles.Float, CultureInfo.InvariantCulture, out value)) return !double.IsNaN(value);
        bool negative = field.StartsWith("-"u8);
        ReadOnlySpan<byte> rest = field.StartsWith("+"u8) || negative ? field[1..] : field;
        value = negative ? double.NegativeInfinity : double.PositiveInfinity;
        return Ascii.EqualsIgnoreCase(rest, "inf"u8);
    }

    private static bool IsBlank(byte b) => b is (byte)' ' or (>= (byte)'\t' and <= (byte)'\r');
}
