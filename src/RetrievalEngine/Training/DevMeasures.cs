using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Training;

/// <summary>The measures of a run on a dev set, by the names of the log.</summary>
internal static class DevMeasures
{
    private static readonly string[] s_measures = ["ndcg_cut.10", "recall.100"];

    /// <summary>Those of <paramref name="wanted"/>: <c>mrr@10</c>, <c>ndcg@10</c>, <c>recall@100</c>, each a mean over all judged queries.</summary>
    public static IReadOnlyDictionary<string, double> Of(Qrels qrels, RunFile run, IReadOnlyCollection<string> wanted)
    {
        EvaluationOptions options = new() { AllJudgedQueries = true };
        Evaluation.Evaluation all = Evaluator.Create(s_measures, options).Evaluate(qrels, run);
        Evaluation.Evaluation top = Evaluator.Create(["recip_rank"], options with { MaxRetrieved = 10 }).Evaluate(qrels, run);
        Dictionary<string, double> measures = new() { ["mrr@10"] = top.Mean("recip_rank"), ["ndcg@10"] = all.Mean("ndcg_cut_10"), ["recall@100"] = all.Mean("recall_100") };
        return measures.Where(measure => wanted.Contains(measure.Key)).ToDictionary();
    }
}
