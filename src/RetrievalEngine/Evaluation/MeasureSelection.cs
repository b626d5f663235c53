using System;
using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Evaluation;

/// <summary>
/// The measures that <c>-m</c> asked for, in trec_eval's order. As there, of several parameter lists for one measure the first one counts.
/// </summary>
internal sealed class MeasureSelection
{
    private MeasureSelection(IReadOnlyList<(MeasureDefinition, MeasureArguments)> measures, IReadOnlyList<string> ignored)
    {
        Measures = measures;
        Ignored = ignored;
    }

    /// <summary>Measures with their parameters.</summary>
    public IReadOnlyList<(MeasureDefinition Definition, MeasureArguments Arguments)> Measures { get; }

    /// <summary>What was given in vain: parameters for a measure that had some already, or that takes none.</summary>
    public IReadOnlyList<string> Ignored { get; }

    /// <summary>Parses names such as <c>map</c>, <c>ndcg_cut.10,100</c> or <c>official</c>; of none, <c>official</c>.</summary>
    /// <exception cref="InputException">There is no such measure, or it does not take these parameters.</exception>
    public static MeasureSelection Parse(IReadOnlyList<string> specifications)
    {
        HashSet<string> wanted = [];
        Dictionary<string, string> parameters = [];
        List<string> ignored = [];
        foreach (string specification in specifications.Count == 0 ? ["official"] : specifications)
        {
            int dot = specification.IndexOf('.', StringComparison.Ordinal);
            string name = dot < 0 ? specification : specification[..dot];
            if (MeasureCatalogue.Groups.TryGetValue(name, out string[]? group)) wanted.UnionWith(group);
            else if (!MeasureCatalogue.All.Any(m => m.Name == name)) throw Unknown(specification, name);
            else wanted.Add(name);
            if (dot < 0) continue;
            if (dot == specification.Length - 1) throw new InputException($"measure {specification}: parameters are missing behind the dot");
            bool takesSome = group is null && MeasureCatalogue.All.First(m => m.Name == name).Parameters != ParameterKind.None;
            if (!takesSome || !parameters.TryAdd(name, specification[(dot + 1)..])) ignored.Add(specification);
        }

        List<(MeasureDefinition, MeasureArguments)> measures = [];
        foreach (MeasureDefinition measure in MeasureCatalogue.All)
        {
            if (!wanted.Contains(measure.Name)) continue;
            MeasureArguments arguments =
                MeasureArguments.Parse(measure.Name, measure.Parameters, measure.Defaults, parameters.GetValueOrDefault(measure.Name));
            if (measure.Name == "utility" && arguments.Numbers.Length != 4)
                throw new InputException("measure utility takes 4 numbers, as in utility.2,-1,0,0");
            measures.Add((measure, arguments));
        }

        return new MeasureSelection(measures, ignored);
    }

    private static InputException Unknown(string specification, string name)
    {
        string? dotted = MeasureCatalogue.All
            .Where(static m => m.Parameters != ParameterKind.None)
            .OrderByDescending(static m => m.Name.Length)
            .Select(m => name.StartsWith(m.Name + "_", StringComparison.Ordinal) ? $"{m.Name}.{specification[(m.Name.Length + 1)..]}" : null)
            .FirstOrDefault(static s => s is not null);
        string hint = dotted is null
            ? $"the measures are {string.Join(" ", MeasureCatalogue.Groups.Keys.Concat(MeasureCatalogue.All.Select(static m => m.Name)))}"
            : $"try {dotted}";
        return new InputException($"there is no measure \"{specification}\"; {hint}");
    }
}
