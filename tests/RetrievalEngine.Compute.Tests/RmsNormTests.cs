using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.All))]
[Category("Ops")]
internal sealed class RmsNormTests(TestBackend backend)
{
    // Large, so that its place in the formula shows and a row of one element does not cancel.
    private const float Eps = 0.1f;

    private static IEnumerable<Case> Cases()
    {
        foreach (int width in Sizes.Vector) yield return new Case(3, width);
        foreach (int rows in (int[])[0, 1, 2, 63, 64, 65, 130]) yield return new Case(rows, 20);
        yield return new Case(5, 24, Residual: true);
        yield return new Case(5, 24, Offset: 1);
        yield return new Case(5, 24, Accumulate: true, Dweight: false);
        yield return new Case(2, 4099, Residual: true, Accumulate: true);
        yield return new Case(1500, 96, Residual: true);
    }

    [TestCaseSource(nameof(Cases))]
    public void Agrees_with_the_definition(Case c)
    {
        RandomTensors random = new(c.Rows + c.Width);
        DType dtype = backend.Device.Value.ActivationDType;
        double[] x = random.Normal(c.Count, dtype: dtype), residual = random.Normal(c.Residual ? c.Count : 0, dtype: dtype);
        double[] weight = random.Normal(c.Width), dy = random.Normal(c.Count, dtype: dtype), before = random.Normal(c.Count, dtype: dtype);
        double[] sum = c.Residual ? [.. x.Zip(residual, (a, b) => Storage.Round(a + b, dtype))] : x;
        (double[] y, double[] rstd) = NaiveNorm.RmsForward(sum, weight, c.Offset, Eps);

        OpCall forward = new OpCall(backend).Activation("x", x, c.Rows, c.Width).F32("weight", weight, c.Width);
        if (c.Residual)
            forward.Activation("residual", residual, c.Rows, c.Width).Output("sum", sum, 1e-7, c.Rows, c.Width).MayAlias("sum", "x")
                .MayAlias("sum", "residual");
        forward.Output("y", y, 5e-7, c.Rows, c.Width).OutputF32("rstd", rstd, 5e-7, c.Rows);
        forward.Check((b, t) => b.RmsNormForward(t["x"], t["residual"], t["weight"], c.Offset, Eps, t["sum"], t["y"], t["rstd"]));

        rstd = [.. rstd.Select(value => (double)(float)value)];
        (double[] dx, double[] dweight) = NaiveNorm.RmsBackward(dy, sum, weight, c.Offset, rstd);
        OpCall backward = new OpCall(backend).Activation("dy", dy, c.Rows, c.Width).Activation("x", sum, c.Rows, c.Width)
            .F32("weight", weight, c.Width)
            .F32("rstd", rstd, c.Rows);
        if (c.Accumulate) backward.InPlace("dx", before, [.. dx.Zip(before, (a, b) => a + b)], 1e-6, c.Rows, c.Width);
        else backward.Output("dx", dx, 1e-6, c.Rows, c.Width).MayAlias("dx", "dy");
        double[] start = random.Normal(c.Width);
        if (c.Dweight) backward.InPlaceF32("dweight", start, [.. dweight.Zip(start, (a, b) => a + b)], 2e-6, c.Width);
        backward.Check((b, t) => b.RmsNormBackward(t["dy"], t["x"], t["weight"], c.Offset, t["rstd"], t["dx"], c.Accumulate, t["dweight"]));
    }

    [Test]
    public void Reference_gradients_are_finite_differences([Values(1, 3, 16)] int width)
    {
        RandomTensors random = new(width);
        double[] x = random.Normal(4 * width), weight = random.Normal(width), dy = random.Normal(4 * width);
        (double[] dx, double[] dweight) = NaiveNorm.RmsBackward(dy, x, weight, 0.5, NaiveNorm.RmsForward(x, weight, 0.5, Eps).Rstd);
        FiniteDifferences.Check("dx", moved => FiniteDifferences.Dot(NaiveNorm.RmsForward(moved, weight, 0.5, Eps).Y, dy), x, dx, tolerance: 1e-6);
        FiniteDifferences.Check("dweight", moved => FiniteDifferences.Dot(NaiveNorm.RmsForward(x, moved, 0.5, Eps).Y, dy), weight, dweight);
    }

    [Test]
    public void Gradients_are_finite_differences_of_the_op_itself()
    {
        const int Rows = 2, Width = 19;
        RandomTensors random = new(1);
        double[] x = random.Normal(Rows * Width), weight = random.Normal(Width), dy = random.Normal(Rows * Width);
        (double[] y, double[] rstd) = NaiveNorm.RmsForward(x, weight, 1, Eps);
        (double[] dx, double[] dweight) = NaiveNorm.RmsBackward(dy, x, weight, 1, rstd);
        OpCall call = new OpCall(backend).F32("x", x, Rows, Width).F32("weight", weight, Width).OutputF32("y", y, 0, Rows, Width)
            .OutputF32("rstd", rstd, 0, Rows);
        call.CheckGradient((b, t) => b.RmsNormForward(t["x"], default, t["weight"], 1, Eps, default, t["y"], t["rstd"]), "x", "y", dy, dx);
        call.CheckGradient((b, t) => b.RmsNormForward(t["x"], default, t["weight"], 1, Eps, default, t["y"], t["rstd"]), "weight", "y", dy, dweight);
    }

    [Test]
    public void Heads_are_normalised_by_themselves()
    {
        RandomTensors random = new(2);
        double[] x = random.Normal(5 * 3 * 8, dtype: backend.Device.Value.ActivationDType), weight = random.Normal(8);
        (double[] y, double[] rstd) = NaiveNorm.RmsForward(x, weight, 0, Eps);
        new OpCall(backend).Activation("x", x, 5, 3, 8).F32("weight", weight, 8).Output("y", y, 5e-7, 5, 3, 8).OutputF32("rstd", rstd, 5e-7, 15)
            .Check((b, t) => b.RmsNormForward(t["x"], default, t["weight"], 0, Eps, default, t["y"], t["rstd"]));
    }

    public sealed record Case(int Rows, int Width, bool Residual = false, float Offset = 0, bool Accumulate = false, bool Dweight = true)
    {
        public long Count => (long)Rows * Width;
    }
}
