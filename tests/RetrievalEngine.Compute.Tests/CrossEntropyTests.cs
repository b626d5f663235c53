using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.WithoutActivations))]
[Category("Ops")]
internal sealed class CrossEntropyTests(TestBackend backend)
{
    private static IEnumerable<Case> Cases()
    {
        foreach (int candidates in Sizes.Vector) yield return new Case(3, candidates);
        foreach (int groups in (int[])[0, 1, 2, 33]) yield return new Case(groups, 20);
        yield return new Case(5, 37, Excluded: true);
        yield return new Case(4, 20, Spread: 100);
        yield return new Case(4, 20, Shift: 3000);
        yield return new Case(150, 600, Excluded: true);
    }

    [TestCaseSource(nameof(Cases))]
    public void Agrees_with_the_definition(Case c)
    {
        const float GradientScale = 0.75f;
        RandomTensors random = new(c.Groups + c.Candidates);
        double[] scores = [.. random.Normal((long)c.Groups * c.Candidates, c.Spread).Select(value => (double)(float)(value + c.Shift))];
        int[] targets = random.Integers(c.Groups, c.Candidates);
        sbyte[] excluded = [.. random.Integers(c.Excluded ? scores.Length : 0, 3).Select(i => (sbyte)(i == 0 ? -1 : i == 1 ? 1 : 0))];
        for (int g = 0; g < (c.Excluded ? c.Groups : 0); g++) excluded[g * c.Candidates + targets[g]] = 0;
        (double[] losses, double[] dscores) = NaiveTraining.CrossEntropy(scores, targets, excluded, GradientScale);
        OpCall call = new OpCall(backend).F32("scores", scores, c.Groups, c.Candidates).I32("targets", targets, c.Groups);
        if (c.Excluded) call.I8("excluded", excluded, c.Groups, c.Candidates);
        call.OutputF32("losses", losses, 1e-6, c.Groups).OutputF32("dscores", dscores, 1e-6, c.Groups, c.Candidates).MayAlias("dscores", "scores");
        call.Check((b, t) => b.CrossEntropy(t["scores"], t["targets"], t["excluded"], GradientScale, t["losses"], t["dscores"]));
    }

    [Test]
    public void Reference_gradient_is_finite_differences()
    {
        RandomTensors random = new(1);
        double[] scores = random.Normal(3 * 6);
        int[] targets = [0, 5, 2];
        sbyte[] excluded = [0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        double[] dscores = NaiveTraining.CrossEntropy(scores, targets, excluded, 2).Dscores;
        FiniteDifferences.Check("dscores", moved =>
            2 * NaiveTraining.CrossEntropy(moved, targets, excluded, 2).Losses.Average(), scores, dscores, samples: 18);
    }

    [Test]
    public void One_candidate_alone_loses_nothing()
    {
        new OpCall(backend).F32("scores", [7, -7], 2, 1).I32("targets", [0, 0], 2).OutputF32("losses", [0, 0], 0, 2)
            .OutputF32("dscores", [0, 0], 0, 2, 1)
            .Check((b, t) => b.CrossEntropy(t["scores"], t["targets"], default, 1, t["losses"], t["dscores"]));
    }

    [Test]
    public void A_score_that_is_not_a_number_reaches_the_loss()
    {
        double[] nan = [double.NaN, double.NaN, double.NaN];
        new OpCall(backend).F32("scores", [1, double.NaN, 2], 1, 3).I32("targets", [0], 1).OutputF32("losses", [double.NaN], 0, 1)
            .OutputF32("dscores", nan, 0, 1, 3)
            .Check((b, t) => b.CrossEntropy(t["scores"], t["targets"], default, 1, t["losses"], t["dscores"]));
    }

    [Test]
    public void A_target_that_is_no_candidate_is_refused_on_the_host([Values(-1, 2, 1)] int target)
    {
        backend.RequireHostMemory();
        OpCall call = new OpCall(backend).F32("scores", [1, 2], 1, 2).I32("targets", [target], 1).I8("excluded", [0, 1], 1, 2)
            .OutputF32("losses", [0], 0, 1)
            .OutputF32("dscores", [0, 0], 0, 1, 2);
        Assert.That(
            () => call.Check((b, t) => b.CrossEntropy(t["scores"], t["targets"], t["excluded"], 1, t["losses"], t["dscores"])),
            Throws.ArgumentException.With.Message.StartsWith("CrossEntropy:"));
    }

    public sealed record Case(int Groups, int Candidates, bool Excluded = false, double Spread = 1, double Shift = 0);
}
