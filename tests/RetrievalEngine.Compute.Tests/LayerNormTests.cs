using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.All))]
[Category("Ops")]
internal sealed class LayerNormTests(TestBackend backend)
{
    // Large, so that its place in the formula shows and a row of one element does not cancel.
    private const float Eps = 0.1f;

    private static IEnumerable<Case> Cases()
    {
        foreach (int width in Sizes.Vector) yield return new Case(3, width);
        foreach (int rows in (int[])[0, 1, 2, 63, 64, 65, 130]) yield return new Case(rows, 20);
        yield return new Case(5, 24, Residual: true);
        yield return new Case(5, 24, Bias: false);
        yield return new Case(5, 24, Accumulate: true, Gradients: false);
        yield return new Case(5, 24, Shift: 30);
        yield return new Case(2, 4099, Residual: true, Accumulate: true);
        yield return new Case(1500, 96, Residual: true);
    }

    [TestCaseSource(nameof(Cases))]
    public void Agrees_with_the_definition(Case c)
    {
        RandomTensors random = new(c.Rows + c.Width);
        DType dtype = backend.Device.Value.ActivationDType;
        double[] x = [.. random.Normal(c.Count).Select(value => Storage.Round(value + c.Shift, dtype))];
        double[] residual = random.Normal(c.Residual ? c.Count : 0, dtype: dtype), dy = random.Normal(c.Count, dtype: dtype);
        double[] before = random.Normal(c.Count, dtype: dtype), weight = random.Normal(c.Width), bias = random.Normal(c.Bias ? c.Width : 0);
        double[] sum = c.Residual ? [.. x.Zip(residual, (a, b) => Storage.Round(a + b, dtype))] : x;
        (double[] y, double[] mean, double[] rstd) = NaiveNorm.LayerForward(sum, weight, bias, Eps);
        double tolerance = 1e-6 * (1 + c.Shift);

        OpCall forward = new OpCall(backend).Activation("x", x, c.Rows, c.Width).F32("weight", weight, c.Width);
        if (c.Bias) forward.F32("bias", bias, c.Width);
        if (c.Residual)
            forward.Activation("residual", residual, c.Rows, c.Width).Output("sum", sum, 1e-7, c.Rows, c.Width).MayAlias("sum", "x")
                .MayAlias("sum", "residual");
        forward.Output("y", y, tolerance, c.Rows, c.Width).OutputF32("mean", mean, 1e-6, c.Rows).OutputF32("rstd", rstd, 1e-6, c.Rows);
        forward.Check((b, t) => b.LayerNormForward(t["x"], t["residual"], t["weight"], t["bias"], Eps, t["sum"], t["y"], t["mean"], t["rstd"]));

        // The gradient of a row of one element is zero, and what is computed is rounding.
        if (c.Width == 1) dy = [.. dy.Select(_ => 0.0)];
        mean = [.. mean.Select(value => (double)(float)value)];
        rstd = [.. rstd.Select(value => (double)(float)value)];
        (double[] dx, double[] dweight, double[] dbias) = NaiveNorm.LayerBackward(dy, sum, weight, mean, rstd);
        OpCall backward = new OpCall(backend).Activation("dy", dy, c.Rows, c.Width).Activation("x", sum, c.Rows, c.Width)
            .F32("weight", weight, c.Width)
            .F32("mean", mean, c.Rows).F32("rstd", rstd, c.Rows);
        if (c.Accumulate) backward.InPlace("dx", before, [.. dx.Zip(before, (a, b) => a + b)], 2e-6, c.Rows, c.Width);
        else backward.Output("dx", dx, 2e-6, c.Rows, c.Width).MayAlias("dx", "dy");
        double[] startWeight = random.Normal(c.Width), startBias = random.Normal(c.Width);
        if (c.Gradients)
        {
            backward.InPlaceF32("dweight", startWeight, [.. dweight.Zip(startWeight, (a, b) => a + b)], 2e-6, c.Width);
            backward.InPlaceF32("dbias", startBias, [.. dbias.Zip(startBias, (a, b) => a + b)], 2e-6, c.Width);
        }

        backward.Check((b, t) => b.LayerNormBackward(t["dy"], t["x"], t["weight"], t["mean"], t["rstd"], t["dx"], c.Accumulate, t["dweight"],
            t["dbias"]));
    }

    [Test]
    public void Reference_gradients_are_finite_differences([Values(1, 3, 16)] int width)
    {
        RandomTensors random = new(width);
        double[] x = random.Normal(4 * width), weight = random.Normal(width), bias = random.Normal(width), dy = random.Normal(4 * width);
        (double[] _, double[] mean, double[] rstd) = NaiveNorm.LayerForward(x, weight, bias, Eps);
        (double[] dx, double[] dweight, double[] dbias) = NaiveNorm.LayerBackward(dy, x, weight, mean, rstd);
        FiniteDifferences.Check("dx", moved => FiniteDifferences.Dot(NaiveNorm.LayerForward(moved, weight, bias, Eps).Y, dy), x, dx, tolerance: 1e-6);
        FiniteDifferences.Check("dweight", moved => FiniteDifferences.Dot(NaiveNorm.LayerForward(x, moved, bias, Eps).Y, dy), weight, dweight);
        FiniteDifferences.Check("dbias", moved => FiniteDifferences.Dot(NaiveNorm.LayerForward(x, weight, moved, Eps).Y, dy), bias, dbias);
    }

    [Test]
    public void Gradients_are_finite_differences_of_the_op_itself()
    {
        const int Rows = 2, Width = 19;
        RandomTensors random = new(1);
        double[] x = random.Normal(Rows * Width), weight = random.Normal(Width), bias = random.Normal(Width), dy = random.Normal(Rows * Width);
        (double[] y, double[] mean, double[] rstd) = NaiveNorm.LayerForward(x, weight, bias, Eps);
        (double[] dx, double[] dweight, double[] dbias) = NaiveNorm.LayerBackward(dy, x, weight, mean, rstd);
        OpCall call = new OpCall(backend).F32("x", x, Rows, Width).F32("weight", weight, Width).F32("bias", bias, Width)
            .OutputF32("y", y, 0, Rows, Width)
            .OutputF32("mean", mean, 0, Rows).OutputF32("rstd", rstd, 0, Rows);
        foreach ((string name, double[] gradient) in new (string, double[])[] { ("x", dx), ("weight", dweight), ("bias", dbias) })
            call.CheckGradient((b, t) => b.LayerNormForward(t["x"], default, t["weight"], t["bias"], Eps, default, t["y"], t["mean"], t["rstd"]),
                name, "y", dy, gradient);
    }

    public sealed record Case(int Rows, int Width, bool Residual = false, bool Bias = true, bool Accumulate = false, bool Gradients = true,
        float Shift = 0)
    {
        public long Count => (long)Rows * Width;
    }
}
