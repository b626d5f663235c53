using System;

namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.CrossEntropy"/> and gives its sizes.</summary>
    public static (long Groups, long Candidates) CrossEntropy(Tensor scores, Tensor targets, Tensor excluded, Tensor losses, Tensor dscores)
    {
        const string Op = nameof(CrossEntropy);
        Require(
            !scores.IsEmpty && scores.DType == DType.F32 && scores.Shape.Rank == 2 && scores.Shape[1] <= int.MaxValue, Op,
            $"scores is {scores} but must be F32 [groups, candidates]");
        RequireI32(Op, nameof(targets), targets, scores.Shape[0]);
        Require(
            excluded.IsEmpty || (excluded.DType == DType.I8 && excluded.Shape == scores.Shape), Op,
                $"excluded is {excluded} but must be I8 {scores.Shape}");
        RequireF32(Op, nameof(losses), losses, scores.Shape[0]);
        RequireLike(Op, nameof(dscores), dscores, nameof(scores), scores);
        return (scores.Shape[0], scores.Shape[1]);
    }

    /// <summary>Checks the values of <paramref name="targets"/>, where they are on the host: each a candidate that is not excluded.</summary>
    public static void Targets(ReadOnlySpan<int> targets, ReadOnlySpan<sbyte> excluded, long candidates)
    {
        Indices(nameof(CrossEntropy), nameof(targets), targets, candidates);
        if (excluded.IsEmpty) return;
        for (int group = 0; group < targets.Length; group++)
            Require(excluded[(int)(group * candidates) + targets[group]] == 0, nameof(CrossEntropy),
                $"the target {targets[group]} of group {group} is excluded");
    }
}
