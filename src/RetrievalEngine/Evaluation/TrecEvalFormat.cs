using System.Globalization;
using System.IO;

namespace RetrievalEngine.Evaluation;

/// <summary>Writes an evaluation as trec_eval prints it: <c>name⇥query⇥value</c>, the name padded to 22, values with 4 decimals.</summary>
public static class TrecEvalFormat
{
    /// <summary>
    /// Writes the lines of single queries (<c>-q</c>), of the values over all queries (off with <c>-n</c>), or both; where the values are
    /// <see cref="ZScores"/> (<c>-Z</c>), names get a leading <c>Z</c>.
    /// </summary>
    public static void Write(TextWriter writer, Evaluation evaluation, bool perQuery, bool summary, bool zScores)
    {
        for (int q = 0; q < evaluation.QueryIds.Count && perQuery; q++)
        {
            foreach (MeasureResult measure in evaluation.Measures)
            {
                if (!measure.HasQueryValues) continue;
                if (measure.IsNumber) WriteNumber(writer, measure, evaluation.QueryIds[q], measure.PerQuery[q], zScores);
                else WriteText(writer, measure.Name, evaluation.QueryIds[q], $"'{measure.Texts[q]}'");
            }
        }

        foreach (MeasureResult measure in evaluation.Measures)
        {
            if (!summary) return;
            if (measure.Kind == MeasureKind.RunTag) WriteText(writer, measure.Name, "all", measure.SummaryText);
            else if (measure.IsNumber) WriteNumber(writer, measure, "all", measure.Summary, zScores);
        }
    }

    private static void WriteNumber(TextWriter writer, MeasureResult measure, string query, double value, bool zScore)
    {
        string text = measure.IsCount && !zScore ? ((long)value).ToString(CultureInfo.InvariantCulture) : Decimals(value);
        if (zScore) writer.Write('Z');
        WriteText(writer, measure.Name, query, text);
    }

    private static void WriteText(TextWriter writer, string name, string query, string value)
    {
        writer.Write(name);
        for (int width = System.Text.Encoding.UTF8.GetByteCount(name); width < 22; width++) writer.Write(' ');
        writer.Write($"\t{query}\t{value}\n");
    }

    /// <summary>C's <c>%6.4f</c>.</summary>
    private static string Decimals(double value)
    {
        string text = double.IsFinite(value)
            ? value.ToString("F4", CultureInfo.InvariantCulture)
            : (double.IsNegative(value) ? "-" : "") + (double.IsNaN(value) ? "nan" : "inf");
        return text.PadLeft(6);
    }
}
