using System;
using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Evaluation;

/// <summary>
/// Evaluates runs as trec_eval 9.0.8 does: documents are ranked by score (as doubles) descending, ties by document id descending (bytes); the rank
/// column and the order of the run are ignored.
/// </summary>
public sealed class Evaluator
{
    private readonly MeasureSelection _selection;
    private readonly EvaluationOptions _options;

    private Evaluator(MeasureSelection selection, EvaluationOptions options)
    {
        _selection = selection;
        _options = options;
    }

    /// <summary>
    /// Measures that were asked for in vain: of several lists of parameters for one measure the first one counts, as in trec_eval
    /// (<c>recall.10,100</c> gives both, <c>recall.10</c> and <c>recall.100</c> the first only).
    /// </summary>
    public IReadOnlyList<string> IgnoredMeasures => _selection.Ignored;

    /// <summary>
    /// An evaluator of <paramref name="measures"/> in trec_eval's spelling: <c>map</c>, <c>recip_rank</c>, <c>ndcg_cut.10</c>, <c>recall.10,100</c>,
    /// and besides <c>recip_rank_cut.10</c> (MRR@10). Of none, the measures that trec_eval prints by default.
    /// </summary>
    /// <exception cref="InputException">There is no such measure, or it does not take these parameters.</exception>
    public static Evaluator Create(IReadOnlyList<string> measures, EvaluationOptions? options = null) =>
        new(MeasureSelection.Parse(measures), options ?? new EvaluationOptions());

    /// <summary>The measures of <paramref name="run"/>; with <paramref name="zScores"/>, as distances from reference runs.</summary>
    /// <exception cref="InputException">No query of the run is judged.</exception>
    public Evaluation Evaluate(Qrels qrels, RunFile run, ZScores? zScores = null)
    {
        string[] queries = [.. run.QueryIds.Where(q => qrels.TryGet(q, out _)).Order(Utf8Order.Instance)];
        if (queries.Length == 0)
            throw new InputException("no query is in both the judgements and the run; compare the query ids in the first column of both files");
        RankedJudgements[] rankings = [.. queries.Select(q => RankedJudgements.Create(qrels[q], run[q], _options))];
        int count = _options.AllJudgedQueries ? qrels.Count : queries.Length;
        List<MeasureResult> results = [];
        foreach ((MeasureDefinition definition, MeasureArguments arguments) in _selection.Measures)
        {
            for (int i = 0; i < arguments.Names.Length; i++)
            {
                string name = arguments.Names[i];
                double[] values = new double[queries.Length];
                for (int q = 0; q < queries.Length; q++)
                {
                    values[q] = definition.Compute(rankings[q], arguments, i);
                    if (zScores is not null) values[q] = zScores.Convert(queries[q], name, values[q]);
                }

                bool isText = definition.Kind == MeasureKind.GradeString;
                string[] texts = isText ? Array.ConvertAll(rankings, r => GradeString(r, arguments.Numbers[0])) : [];
                results.Add(new MeasureResult(name, definition.Kind, values, texts, Summarise(definition.Kind, values, count, qrels), run.Tag));
            }
        }

        return new Evaluation(queries, count, results);
    }

    private double Summarise(MeasureKind kind, double[] values, int count, Qrels qrels)
    {
        double sum = 0;
        foreach (double value in values) sum += value;
        return kind switch
        {
            MeasureKind.Mean => sum / count,
            MeasureKind.GeometricMean => Math.Exp((sum + ((count - values.Length) * Math.Log(PrecisionMeasures.SmallestGeometric))) / count),
            MeasureKind.QueryCount => count,
            MeasureKind.RelevantCount when _options.AllJudgedQueries => qrels.QueryIds.Sum(q => (double)qrels[q].Values.Count(static g => g > 0)),
            _ => sum,
        };
    }

    private static string GradeString(RankedJudgements ranking, double length) =>
        string.Create((int)Math.Clamp(length, 0, ranking.Retrieved), ranking, static (characters, r) =>
        {
            for (int i = 0; i < characters.Length; i++)
            {
                characters[i] = r.Grades[i] switch
                {
                    RankedJudgements.NotInPool => '-',
                    RankedJudgements.NotJudged => '.',
                    > 9 => '>',
                    int grade => (char)('0' + grade),
                };
            }
        });
}
