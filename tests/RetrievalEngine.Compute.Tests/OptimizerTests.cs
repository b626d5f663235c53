using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

/// <summary>SumOfSquares and AdamWStep.</summary>
[TestFixtureSource(typeof(Backends), nameof(Backends.WithoutActivations))]
[Category("Ops")]
internal sealed class OptimizerTests(TestBackend backend)
{
    private static int[] Counts { get; } = [.. Sizes.VectorOrNone, 16383, 16384, 16385, 100_003];

    private static IEnumerable<Case> Cases()
    {
        foreach (int count in Counts) yield return new Case(count, new AdamW(1e-2f));
        yield return new Case(100, new AdamW(1e-3f, 0.8f, 0.95f, 1e-3f, 0, Step: 1000));
        yield return new Case(100, new AdamW(1e-3f, WeightDecay: 0.1f, Step: 3, MaxGradNorm: 1));
        yield return new Case(100, new AdamW(1e-3f, Step: 3, MaxGradNorm: 1000));
        yield return new Case(100, new AdamW(0));
    }

    [TestCaseSource(nameof(Counts))]
    public void SumOfSquares_agrees_with_the_definition(int count)
    {
        double[] x = new RandomTensors(count).Normal(count);
        double sum = x.Sum(value => value * value);
        new OpCall(backend).F32("x", x, count).AnySize("x").OutputF32("sum", [sum], 3e-7, 1)
            .Check((b, t) => b.SumOfSquares(t["x"], t["sum"], accumulate: false));
        new OpCall(backend).F32("x", x, count).AnySize("x").InPlaceF32("sum", [10], [10 + sum], 3e-7, 1)
            .Check((b, t) => b.SumOfSquares(t["x"], t["sum"], accumulate: true));
    }

    [TestCaseSource(nameof(Cases))]
    public void AdamW_agrees_with_the_definition(Case c)
    {
        RandomTensors random = new(c.Count);
        double[] parameter = random.Normal(c.Count), gradient = random.Normal(c.Count), m = random.Normal(c.Count, 0.1),
            v = random.Uniform(c.Count, 0.01, 1);
        double sum = (float)gradient.Sum(value => value * value);
        double[] newParameter = (double[])parameter.Clone(), newM = (double[])m.Clone(), newV = (double[])v.Clone();
        NaiveTraining.AdamW(newParameter, gradient, newM, newV, c.Options, sum);
        OpCall call = new OpCall(backend).InPlaceF32("parameter", parameter, newParameter, 2e-7, c.Count).F32("gradient", gradient, c.Count)
            .InPlaceF32("m", m, newM, 2e-7, c.Count).InPlaceF32("v", v, newV, 2e-7, c.Count);
        if (c.Options.MaxGradNorm > 0) call.F32("sum", [sum], 1);
        call.Check((b, t) => b.AdamWStep(t["parameter"], t["gradient"], t["m"], t["v"], c.Options, t["sum"]));
    }

    [Test]
    public void The_first_step_from_nothing_moves_by_the_learning_rate()
    {
        // The bias correction undoes the decay, and each element moves by ±LearningRate whatever its gradient.
        OpCall call = new OpCall(backend).InPlaceF32("parameter", [1, 1, 1], [0.9, 1.1, 0.9], 1e-6, 3).F32("gradient", [1e-3, -5, 100], 3)
            .InPlaceF32("m", [0, 0, 0], [1.25e-4, -0.625, 12.5], 1e-6, 3).InPlaceF32("v", [0, 0, 0], [2.5e-7, 6.25, 2500], 1e-6, 3);
        call.Check((b, t) => b.AdamWStep(t["parameter"], t["gradient"], t["m"], t["v"],
            new AdamW(0.1f, 0.875f, 0.75f, Epsilon: 1e-12f, WeightDecay: 0), default));
    }

    [Test]
    public void Clipping_needs_a_norm()
    {
        using GuardedTensors tensors = new(backend.Device.Value, backend.Alignment);
        tensors.Add("x", new Shape(2), DType.F32, new byte[8]);
        Tensor x = tensors["x"];
        Assert.That(
            () => backend.Device.Value.AdamWStep(x, x, x, x, new AdamW(1e-3f, MaxGradNorm: 1), default),
            Throws.ArgumentException.With.Message.EqualTo("AdamWStep: maxGradNorm is given without sumOfSquares"));
    }

    public sealed record Case(int Count, AdamW Options);
}
