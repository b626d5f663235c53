using System;
using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.All))]
[Category("Ops")]
internal sealed class L2NormalizeTests(TestBackend backend)
{
    private static IEnumerable<Case> Cases()
    {
        foreach (int width in Sizes.Vector) yield return new Case(3, width);
        foreach (int rows in (int[])[0, 1, 2, 33]) yield return new Case(rows, 20);
        yield return new Case(4, 24, ZeroRow: true);
        yield return new Case(600, 100);
    }

    [TestCaseSource(nameof(Cases))]
    public void Agrees_with_the_definition(Case c)
    {
        RandomTensors random = new(c.Rows + c.Width);
        DType dtype = backend.Device.Value.ActivationDType;
        double[] x = random.Normal((long)c.Rows * c.Width, 3, dtype), dy = random.Normal((long)c.Rows * c.Width, dtype: dtype);
        if (c.ZeroRow) x.AsSpan(c.Width, c.Width).Clear();
        (double[] y, double[] norm) = NaiveNorm.L2Forward(x, c.Width);
        new OpCall(backend).Activation("x", x, c.Rows, c.Width).Output("y", y, 3e-7, c.Rows, c.Width).OutputF32("norm", norm, 3e-7, c.Rows)
            .MayAlias("y", "x")
            .Check((b, t) => b.L2NormalizeForward(t["x"], t["y"], t["norm"]));

        y = [.. y.Select(value => Storage.Round(value, dtype))];
        norm = [.. norm.Select(value => (double)(float)value)];
        // A row of one element cannot turn: its gradient is zero, and what is computed is rounding.
        if (c.Width == 1) dy = [.. dy.Select(_ => 0.0)];
        new OpCall(backend).Activation("dy", dy, c.Rows, c.Width).Activation("y", y, c.Rows, c.Width).F32("norm", norm, c.Rows)
            .Output("dx", [.. NaiveNorm.L2Backward(dy, y, norm).Select(value => Storage.Round(value, dtype))], 1e-6, c.Rows, c.Width).MayAlias("dx", "dy")
            .Check((b, t) => b.L2NormalizeBackward(t["dy"], t["y"], t["norm"], t["dx"]));
    }

    [Test]
    public void Reference_gradient_is_finite_differences()
    {
        RandomTensors random = new(1);
        double[] x = random.Normal(3 * 5), dy = random.Normal(3 * 5);
        (double[] y, double[] norm) = NaiveNorm.L2Forward(x, 5);
        FiniteDifferences.Check("dx", moved =>
            FiniteDifferences.Dot(NaiveNorm.L2Forward(moved, 5).Y, dy), x, NaiveNorm.L2Backward(dy, y, norm), samples: 15);
        OpCall call = new OpCall(backend).F32("x", x, 3, 5).OutputF32("y", y, 0, 3, 5).OutputF32("norm", norm, 0, 3);
        call.CheckGradient((b, t) => b.L2NormalizeForward(t["x"], t["y"], t["norm"]), "x", "y", dy, NaiveNorm.L2Backward(dy, y, norm));
    }

    public sealed record Case(int Rows, int Width, bool ZeroRow = false);
}
