using System;
using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Evaluation;

/// <summary>All measures, in the order in which trec_eval 9.0.8 prints them, and the names of groups of measures.</summary>
internal static class MeasureCatalogue
{
    private const string Depths = "5,10,15,20,30,100,200,500,1000";
    private const string Recalls = "0,.1,.2,.3,.4,.5,.6,.7,.8,.9,1";

    /// <summary>The measures in printing order.</summary>
    public static readonly IReadOnlyList<MeasureDefinition> All =
    [
        new("runid", MeasureKind.RunTag, ParameterKind.None, "", static (_, _, _) => 0),
        new("num_q", MeasureKind.QueryCount, ParameterKind.None, "", static (_, _, _) => 1),
        Single("num_ret", MeasureKind.Sum, static r => r.Retrieved),
        Single("num_rel", MeasureKind.RelevantCount, static r => r.Relevant),
        Single("num_rel_ret", MeasureKind.Sum, static r => r.RelevantRetrieved),
        Single("map", MeasureKind.Mean, static r => PrecisionMeasures.AveragePrecision(r, int.MaxValue)),
        Single("gm_map", MeasureKind.GeometricMean, static r => Logarithm(PrecisionMeasures.AveragePrecision(r, int.MaxValue))),
        Single("Rprec", MeasureKind.Mean, PrecisionMeasures.RPrecision),
        Single("bpref", MeasureKind.Mean, PrecisionMeasures.BinaryPreference),
        Single("recip_rank", MeasureKind.Mean, static r => PrecisionMeasures.ReciprocalRank(r, int.MaxValue)),
        new("iprec_at_recall", MeasureKind.Mean, ParameterKind.Fractions, Recalls,
            static (r, a, i) => PrecisionMeasures.InterpolatedPrecision(r, a.Numbers[i])),
        AtDepths("P", Depths, PrecisionMeasures.Precision),
        new("relstring", MeasureKind.GradeString, ParameterKind.Numbers, "10", static (_, _, _) => 0),
        AtDepths("recall", Depths, PrecisionMeasures.Recall),
        Single("infAP", MeasureKind.Mean, PrecisionMeasures.InferredAveragePrecision),
        Single("gm_bpref", MeasureKind.GeometricMean, static r => Logarithm(PrecisionMeasures.BinaryPreference(r))),
        new("Rprec_mult", MeasureKind.Mean, ParameterKind.Fractions, ".2,.4,.6,.8,1,1.2,1.4,1.6,1.8,2",
            static (r, a, i) => PrecisionMeasures.RPrecisionMultiple(r, a.Numbers[i])),
        new("utility", MeasureKind.Mean, ParameterKind.Numbers, "1,-1,0,0", static (r, a, _) => PrecisionMeasures.Utility(r, a.Numbers)),
        new("11pt_avg", MeasureKind.Mean, ParameterKind.Numbers, Recalls,
            static (r, a, _) => PrecisionMeasures.AverageInterpolatedPrecision(r, a.Numbers)),
        Single("binG", MeasureKind.Mean, PrecisionMeasures.BinaryG),
        WithGains("G", GainMeasures.G),
        WithGains("ndcg", GainMeasures.Ndcg),
        WithGains("ndcg_rel", GainMeasures.NdcgAtRelevant),
        WithGains("Rndcg", GainMeasures.NdcgAtGainChanges),
        AtDepths("ndcg_cut", Depths, GainMeasures.NdcgCut),
        AtDepths("map_cut", Depths, PrecisionMeasures.AveragePrecision),
        AtDepths("relative_P", Depths, PrecisionMeasures.RelativePrecision),
        AtDepths("success", "1,5,10", PrecisionMeasures.Success),
        Single("set_P", MeasureKind.Mean, PrecisionMeasures.SetPrecision),
        Single("set_relative_P", MeasureKind.Mean, PrecisionMeasures.SetRelativePrecision),
        Single("set_recall", MeasureKind.Mean, PrecisionMeasures.SetRecall),
        Single("set_map", MeasureKind.Mean, PrecisionMeasures.SetAveragePrecision),
        new("set_F", MeasureKind.Mean, ParameterKind.Numbers, "1", static (r, a, _) => PrecisionMeasures.SetF(r, a.Numbers[0])),
        Single("num_nonrel_judged_ret", MeasureKind.Sum, static r => r.Grades.Count(static g => g >= 0) - r.RelevantRetrieved),
        Single("yaap", MeasureKind.Mean, PrecisionMeasures.YetAnotherAveragePrecision),

        // Not in trec_eval, where MRR@10 takes a run of its own with -M 10.
        AtDepths("recip_rank_cut", "10", PrecisionMeasures.ReciprocalRank),
    ];

    private static readonly string[] NotInAllTrec = ["yaap", "recip_rank_cut"];

    /// <summary>Names that stand for several measures.</summary>
    public static readonly IReadOnlyDictionary<string, string[]> Groups = new Dictionary<string, string[]>
    {
        ["official"] =
            ["runid", "num_q", "num_ret", "num_rel", "num_rel_ret", "map", "gm_map", "Rprec", "bpref", "recip_rank", "iprec_at_recall", "P"],
        ["set"] = ["runid", "num_q", "num_ret", "num_rel", "num_rel_ret", "utility", "set_P", "set_recall", "set_relative_P", "set_map", "set_F"],
        ["all_trec"] = [.. All.Select(static m => m.Name).Except(NotInAllTrec)],
    };

    private static MeasureDefinition Single(string name, MeasureKind kind, Func<RankedJudgements, double> compute) =>
        new(name, kind, ParameterKind.None, "", (r, _, _) => compute(r));

    private static MeasureDefinition AtDepths(string name, string depths, Func<RankedJudgements, int, double> compute) =>
        new(name, MeasureKind.Mean, ParameterKind.Depths, depths, (r, a, i) => compute(r, a.Depths[i]));

    private static MeasureDefinition WithGains(string name, Func<RankedJudgements, IReadOnlyDictionary<int, double>, double> compute) =>
        new(name, MeasureKind.Mean, ParameterKind.Gains, "", (r, a, _) => compute(r, a.Gains));

    private static double Logarithm(double value) => Math.Log(Math.Max(value, PrecisionMeasures.SmallestGeometric));
}
