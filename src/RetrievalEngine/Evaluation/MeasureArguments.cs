using System;
using System.Collections.Generic;
using System.Globalization;

namespace RetrievalEngine.Evaluation;

/// <summary>The parsed parameters of a measure and the names under which its values are printed.</summary>
internal sealed class MeasureArguments
{
    private MeasureArguments(string[] names) => Names = names;

    /// <summary>One name for each value.</summary>
    public string[] Names { get; }

    /// <summary>Ranks, ascending (<see cref="ParameterKind.Depths"/>).</summary>
    public int[] Depths { get; private init; } = [];

    /// <summary>Fractions, ascending, or numbers as given.</summary>
    public double[] Numbers { get; private init; } = [];

    /// <summary>Gains given in place of the grade itself.</summary>
    public IReadOnlyDictionary<int, double> Gains { get; private init; } = new Dictionary<int, double>();

    /// <summary>
    /// Parses <paramref name="given"/>, what followed the dot of <c>-m <paramref name="name"/>.…</c>; null takes <paramref name="defaults"/>.
    /// </summary>
    /// <exception cref="InputException">They are not what the measure takes.</exception>
    public static MeasureArguments Parse(string name, ParameterKind kind, string defaults, string? given)
    {
        string text = given ?? defaults;
        string[] wholeName = [given is null ? name : $"{name}_{given}"];
        switch (kind)
        {
            case ParameterKind.Depths:
                double[] numbers = Ascending(name, text);
                int[] depths = Array.ConvertAll(numbers, static x => (int)Math.Min(x, int.MaxValue));
                for (int i = 0; i < depths.Length; i++)
                {
                    if (depths[i] <= 0) throw new InputException($"measure {name}.{text}: a depth must be 1 or more");
                    if (i > 0 && depths[i] == depths[i - 1]) throw new InputException($"measure {name}.{text}: depth {depths[i]} is given twice");
                }

                return new(Array.ConvertAll(depths, d => string.Create(CultureInfo.InvariantCulture, $"{name}_{d}"))) { Depths = depths };
            case ParameterKind.Fractions:
                double[] fractions = Ascending(name, text);
                for (int i = 1; i < fractions.Length; i++)
                {
                    if (fractions[i] == fractions[i - 1]) throw new InputException($"measure {name}.{text}: {fractions[i]} is given twice");
                }

                return new(Array.ConvertAll(fractions, f => string.Create(CultureInfo.InvariantCulture, $"{name}_{f:F2}"))) { Numbers = fractions };
            case ParameterKind.Numbers:
                return new(wholeName) { Numbers = Parsed(name, text) };
            case ParameterKind.Gains:
                return new(wholeName) { Gains = text.Length == 0 ? new Dictionary<int, double>() : ParsedGains(name, text) };
            default:
                return new([name]);
        }
    }

    private static double[] Ascending(string name, string text)
    {
        double[] numbers = Parsed(name, text);
        Array.Sort(numbers);
        return numbers;
    }

    private static double[] Parsed(string name, string text) => Array.ConvertAll(text.Split(','), item => Number(name, text, item));

    private static Dictionary<int, double> ParsedGains(string name, string text)
    {
        Dictionary<int, double> gains = [];
        foreach (string pair in text.Split(','))
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0 || !int.TryParse(pair.AsSpan(0, equals), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int grade))
                throw new InputException($"measure {name}.{text}: \"{pair}\" is not grade=gain, as in {name}.1=3,2=9");
            if (!gains.TryAdd(grade, Number(name, text, pair[(equals + 1)..])))
                throw new InputException($"measure {name}.{text}: grade {grade} is given twice");
        }

        return gains;
    }

    private static double Number(string name, string text, string item) =>
        double.TryParse(item, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number)
            ? number
            : throw new InputException($"measure {name}.{text}: \"{item}\" is not a number");
}
