using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

/// <summary>Plain and gated activations.</summary>
[TestFixtureSource(typeof(Backends), nameof(Backends.All))]
[Category("Ops")]
internal sealed class ActivationTests(TestBackend backend)
{
    private static IEnumerable<Case> Cases()
    {
        foreach (Activation activation in (Activation[])[Activation.None, Activation.Silu, Activation.GeluErf, Activation.GeluTanh, Activation.Relu, Activation.Tanh])
        {
            foreach (int count in Sizes.VectorOrNone) yield return new Case(activation, count, 1.5);
            yield return new Case(activation, 3001, 5);
            yield return new Case(activation, 257, 40);
            yield return new Case(activation, 20_011, 2);
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void Agrees_with_the_definition(Case c)
    {
        DType dtype = backend.Device.Value.ActivationDType;
        RandomTensors random = new(c.Count);
        double[] x = random.Normal(c.Count, c.Spread, dtype), dy = random.Normal(c.Count, dtype: dtype), up = random.Normal(c.Count, dtype: dtype);
        new OpCall(backend).Activation("x", x, c.Count).Output("y", NaiveActivation.Forward(c.Activation, x), 2e-7, c.Count).MayAlias("y", "x")
            .Check((b, t) => b.ActivationForward(t["x"], c.Activation, t["y"]));
        new OpCall(backend).Activation("dy", dy, c.Count).Activation("x", x, c.Count)
            .Output("dx", NaiveActivation.Backward(c.Activation, dy, x), 4e-7, c.Count).MayAlias("dx", "dy")
            .Check((b, t) => b.ActivationBackward(t["dy"], t["x"], c.Activation, t["dx"]));
        new OpCall(backend).Activation("gate", x, c.Count).Activation("up", up, c.Count)
            .Output("y", NaiveActivation.GatedForward(c.Activation, x, up), 3e-7, c.Count)
            .Check((b, t) => b.GatedActivationForward(t["gate"], t["up"], c.Activation, t["y"]));
        (double[] dgate, double[] dup) = NaiveActivation.GatedBackward(c.Activation, dy, x, up);
        new OpCall(backend).Activation("dy", dy, c.Count).Activation("gate", x, c.Count).Activation("up", up, c.Count)
            .Output("dgate", dgate, 4e-7, c.Count).Output("dup", dup, 3e-7, c.Count).MayAlias("dgate", "gate").MayAlias("dgate", "dy")
            .MayAlias("dup", "up")
            .Check((b, t) => b.GatedActivationBackward(t["dy"], t["gate"], t["up"], c.Activation, t["dgate"], t["dup"]));
    }

    [Test]
    public void Reference_slopes_are_finite_differences([Values] Activation activation)
    {
        double[] x = new RandomTensors(1).Normal(50, 2), ones = [.. x.Select(_ => 1.0)];
        FiniteDifferences.Check("dx", moved =>
            NaiveActivation.Forward(activation, moved).Sum(), x, NaiveActivation.Backward(activation, ones, x), samples: 50);
    }

    [Test]
    public void Gradients_are_finite_differences_of_the_op_itself([Values] Activation activation)
    {
        const int Count = 37;
        RandomTensors random = new(2);
        // Away from 0, where ReLU has no slope.
        double[] gate = [.. random.Normal(Count).Select(v => v + (v < 0 ? -0.1 : 0.1))], up = random.Normal(Count), dy = random.Normal(Count);
        (double[] dgate, double[] dup) = NaiveActivation.GatedBackward(activation, dy, gate, up);
        OpCall call = new OpCall(backend).F32("gate", gate, Count).F32("up", up, Count)
            .OutputF32("y", NaiveActivation.GatedForward(activation, gate, up), 0, Count);
        call.CheckGradient((b, t) => b.GatedActivationForward(t["gate"], t["up"], activation, t["y"]), "gate", "y", dy, dgate);
        call.CheckGradient((b, t) => b.GatedActivationForward(t["gate"], t["up"], activation, t["y"]), "up", "y", dy, dup);
    }

    [Test]
    public void Extremes_neither_overflow_nor_lose_NaN([Values] Activation activation)
    {
        double[] x = [double.NegativeInfinity, -3.4e38, -1e4, -200, -100, -20, -1e-30, -0.0, 0, 1e-40, 20, 100, 1e4, 3.4e38];
        x = [.. x.Select(value => Storage.Round(value, backend.Device.Value.ActivationDType)).Where(double.IsFinite)];
        new OpCall(backend).Activation("x", x, x.Length).Output("y", NaiveActivation.Forward(activation, x), 1e-6, x.Length)
            .Check((b, t) => b.ActivationForward(t["x"], activation, t["y"]));
        new OpCall(backend).Activation("x", [1, double.NaN, 2], 3).Output("y", NaiveActivation.Forward(activation, [1, double.NaN, 2]), 1e-6, 3)
            .Check((b, t) => b.ActivationForward(t["x"], activation, t["y"]));
    }

    public sealed record Case(Activation Activation, int Count, double Spread);
}
