using System;
using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.All))]
[Category("Ops")]
internal sealed class RopeTests(TestBackend backend)
{
    private const int Positions = 50;

    private static IEnumerable<Case> Cases()
    {
        foreach (int half in Sizes.VectorOrNone) yield return new Case(4, 2, 2 * half, half);
        foreach (int headDim in (int[])[3, 5, 33, 80]) yield return new Case(3, 3, headDim, headDim / 2);
        foreach (int half in (int[])[0, 1, 8, 16, 20]) yield return new Case(5, 2, 80, half);
        foreach (int tokens in (int[])[0, 1, 600]) yield return new Case(tokens, 4, 32, 16);
        yield return new Case(3, 0, 8, 4);
    }

    [TestCaseSource(nameof(Cases))]
    public void Agrees_with_the_definition(Case c)
    {
        RandomTensors random = new(c.Tokens + c.Half);
        double[] x = random.Normal((long)c.Tokens * c.Heads * c.HeadDim, dtype: backend.Device.Value.ActivationDType);
        int[] positions = random.Integers(c.Tokens, Positions);
        (double[] cos, double[] sin) = Angles(random, c.Half);
        foreach (bool inverse in (bool[])[false, true])
        {
            double[] y = NaiveSequence.Rope(x, positions, cos, sin, c.Heads, c.HeadDim, c.Half, inverse);
            new OpCall(backend).InPlace("x", x, y, 2e-7, c.Tokens, c.Heads, c.HeadDim).AnySize("x").I32("positions", positions, c.Tokens)
                .F32("cos", cos, Positions, c.Half).F32("sin", sin, Positions, c.Half)
                .Check((b, t) => b.Rope(t["x"], t["positions"], t["cos"], t["sin"], inverse));
        }
    }

    [Test]
    public void The_inverse_is_the_gradient()
    {
        RandomTensors random = new(1);
        double[] x = random.Normal(4 * 2 * 10), dy = random.Normal(x.Length);
        int[] positions = random.Integers(4, Positions);
        (double[] cos, double[] sin) = Angles(random, 4);
        double[] dx = NaiveSequence.Rope(dy, positions, cos, sin, 2, 10, 4, inverse: true);
        FiniteDifferences.Check("dx", moved =>
            FiniteDifferences.Dot(NaiveSequence.Rope(moved, positions, cos, sin, 2, 10, 4, inverse: false), dy), x, dx);
    }

    [Test]
    public void A_position_beyond_the_table_is_refused_on_the_host()
    {
        backend.RequireHostMemory();
        double[] table = new double[4];
        double[] x = [1, 2, 3, 4];
        OpCall call = new OpCall(backend).F32("x", x, 1, 1, 4).I32("positions", [2], 1).F32("cos", table, 2, 2).F32("sin", table, 2, 2);
        Assert.That(() => call.Check((b, t) => b.Rope(t["x"], t["positions"], t["cos"], t["sin"], inverse: false)), Throws.ArgumentException);
    }

    private static (double[] Cos, double[] Sin) Angles(RandomTensors random, int half)
    {
        double[] angles = random.Uniform((long)Positions * half, -3, 3);
        return ([.. angles.Select(a => (double)(float)Math.Cos(a))], [.. angles.Select(a => (double)(float)Math.Sin(a))]);
    }

    public sealed record Case(int Tokens, int Heads, int HeadDim, int Half);
}
