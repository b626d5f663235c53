namespace RetrievalEngine.Evaluation;

/// <summary>The value with number <paramref name="index"/> (one for each depth or fraction) of a measure for one query.</summary>
internal delegate double MeasureFunction(RankedJudgements ranking, MeasureArguments arguments, int index);

/// <summary>One measure of trec_eval.</summary>
/// <param name="Name">Its name before the dot.</param>
/// <param name="Kind">How queries make the value over all.</param>
/// <param name="Parameters">What may follow the dot.</param>
/// <param name="Defaults">Parameters where none are given.</param>
/// <param name="Compute">Its value for one query.</param>
internal sealed record MeasureDefinition(string Name, MeasureKind Kind, ParameterKind Parameters, string Defaults, MeasureFunction Compute);
