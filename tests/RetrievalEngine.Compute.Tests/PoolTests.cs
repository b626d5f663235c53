using System;
using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.All))]
[Category("Ops")]
internal sealed class PoolTests(TestBackend backend)
{
    private static IEnumerable<Case> Cases()
    {
        foreach (Pooling pooling in Enum.GetValues<Pooling>())
        {
            foreach (int width in Sizes.Vector) yield return new Case(pooling, width, 2, 0, 1, 5);
            yield return new Case(pooling, 8);
            yield return new Case(pooling, 8, 0);
            yield return new Case(pooling, 8, 0, 0, 3);
            yield return new Case(pooling, 40, [.. Enumerable.Range(0, 60)]);
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void Agrees_with_the_definition(Case c)
    {
        RandomTensors random = new(c.Width);
        int[] cuSeqLens = Cumulative(c.Lengths);
        int tokens = cuSeqLens[^1], sequences = c.Lengths.Length;
        double[] x = random.Normal((long)tokens * c.Width, dtype: backend.Device.Value.ActivationDType),
            dy = random.Normal((long)sequences * c.Width);
        new OpCall(backend).Activation("x", x, tokens, c.Width).I32("cuSeqLens", cuSeqLens, cuSeqLens.Length)
            .OutputF32("y", NaiveSequence.PoolForward(x, cuSeqLens, c.Pooling, c.Width), 1e-6, sequences, c.Width)
            .Check((b, t) => b.PoolForward(t["x"], t["cuSeqLens"], c.Pooling, t["y"]));
        new OpCall(backend).F32("dy", dy, sequences, c.Width).Activation("x", x, tokens, c.Width).I32("cuSeqLens", cuSeqLens, cuSeqLens.Length)
            .Output("dx", NaiveSequence.PoolBackward(dy, x, cuSeqLens, c.Pooling, c.Width), 2e-7, tokens, c.Width)
            .Check((b, t) => b.PoolBackward(t["dy"], t["x"], t["cuSeqLens"], c.Pooling, t["dx"]));
    }

    [Test]
    public void Reference_gradient_is_finite_differences([Values] Pooling pooling)
    {
        RandomTensors random = new(1);
        int[] cuSeqLens = Cumulative([2, 0, 3, 1]);
        double[] x = random.Normal(6 * 3), dy = random.Normal(4 * 3), dx = NaiveSequence.PoolBackward(dy, x, cuSeqLens, pooling, 3);
        FiniteDifferences.Check("dx", moved =>
            FiniteDifferences.Dot(NaiveSequence.PoolForward(moved, cuSeqLens, pooling, 3), dy), x, dx, samples: 18);
    }

    [Test]
    public void The_first_of_equal_largest_values_gets_the_gradient()
    {
        int[] cuSeqLens = [0, 3];
        double[] x = [1, -2, 5, -2, 5, -3];
        new OpCall(backend).F32("dy", [7, 9], 1, 2).Activation("x", x, 3, 2).I32("cuSeqLens", cuSeqLens, 2)
            .Output("dx", [0, 9, 7, 0, 0, 0], 0, 3, 2)
            .Check((b, t) => b.PoolBackward(t["dy"], t["x"], t["cuSeqLens"], Pooling.Max, t["dx"]));
    }

    [Test]
    public void Lengths_that_leave_the_tokens_are_refused_on_the_host([Values(0, 1, 2)] int kind)
    {
        backend.RequireHostMemory();
        int[] cuSeqLens = kind == 0 ? [0, 4] : kind == 1 ? [0, 5, 3] : [1, 3];
        OpCall call = new OpCall(backend).Activation("x", [1, 2, 3], 3, 1).I32("cuSeqLens", cuSeqLens, cuSeqLens.Length)
            .OutputF32("y", new double[cuSeqLens.Length - 1], 0, cuSeqLens.Length - 1, 1);
        Assert.That(() => call.Check((b, t) => b.PoolForward(t["x"], t["cuSeqLens"], Pooling.Mean, t["y"])), Throws.ArgumentException);
    }

    private static int[] Cumulative(int[] lengths)
    {
        int[] sums = new int[lengths.Length + 1];
        for (int i = 0; i < lengths.Length; i++) sums[i + 1] = sums[i] + lengths[i];
        return sums;
    }

    public sealed record Case(Pooling Pooling, int Width, params int[] Lengths)
    {
        public override string ToString() => $"{Pooling} of {Lengths.Length} sequences, {Lengths.Sum()} tokens x {Width}";
    }
}
