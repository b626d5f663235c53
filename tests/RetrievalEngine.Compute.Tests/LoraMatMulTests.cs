using System;
using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.All))]
[Category("Ops")]
internal sealed class LoraMatMulTests(TestBackend backend)
{
    private const float Scale = 1.5f;

    // Two values are rounded on the way: an adapter's matrix, and its product with x or dy.
    private double Rounded => Math.Max(2e-6, 2 * backend.RoundingError);

    private static IEnumerable<Case> Cases()
    {
        yield return new Case(3, 20, [new Part(24, 4)]);
        yield return new Case(3, 20, [new Part(24)]);
        yield return new Case(1, 7, [new Part(5, 1), new Part(9, 3)]);
        yield return new Case(37, 50, [new Part(40, 8), new Part(16, 8), new Part(17, 16)], Bias: true);
        yield return new Case(37, 50, [new Part(40, 8), new Part(16), new Part(17, 16)], Dropout: 0.3f, Bias: true, Accumulate: true);
        yield return new Case(5, 33, [new Part(12, 40)], Weights: DType.BF16, Activation: Activation.GeluTanh, Bias: true);
        yield return new Case(5, 33, [new Part(12, 2), new Part(12)], Weights: DType.F16, Dx: false);
        yield return new Case(5, 33, [new Part(12, 2)], Train: false, Accumulate: true, Bias: true, Dropout: 0.5f);
        yield return new Case(6, 33, [new Part(12, 2)], Full: false, Bias: true);
        yield return new Case(0, 20, [new Part(24, 4)], Bias: true);
        yield return new Case(300, 300, [new Part(75, 16), new Part(33, 16)], Bias: true);
        yield return new Case(300, 70, [new Part(33, 16), new Part(40, 8)], Dropout: 0.1f, Accumulate: true);
        yield return new Case(150, 1100, [new Part(20, 16)], Weights: DType.BF16, Full: false);
        // More tokens and more outputs than a part of a sum; the largest rank; more projections than one launch takes; everything at whole vectors.
        yield return new Case(1100, 24, [new Part(16, 5)], Dropout: 0.2f, Bias: true);
        yield return new Case(7, 16, [new Part(1030, 3)], Full: false);
        yield return new Case(9, 40, [new Part(30, 256), new Part(8, 70)], Dropout: 0.4f);
        yield return new Case(4, 11, [.. Enumerable.Range(8, 10).Select(i => new Part(i, i % 3 * 2))], Bias: true);
        yield return new Case(70, 64, [new Part(48, 16), new Part(32, 8)], Dropout: 0.2f, Bias: true, Accumulate: true, Activation: Activation.Silu);
        // Parts of one matrix, which share A: alone, between others, in more than a part of a sum, and more of them than one launch takes.
        yield return new Case(37, 50, [new Part(16, 8), new Part(17, 8, SharesA: true), new Part(18, 8, SharesA: true)], Full: false);
        yield return new Case(37, 50, [new Part(9, 3), new Part(16, 4), new Part(17, 4, SharesA: true), new Part(5)], Dropout: 0.3f);
        yield return new Case(1100, 24, [new Part(16, 5), new Part(8, 5, SharesA: true)], Full: false);
        yield return new Case(4, 11, [new Part(7, 2), .. Enumerable.Range(8, 6).Select(i => new Part(i, 2, SharesA: true))]);
    }

    [TestCaseSource(nameof(Cases))]
    public void Forward_agrees_with_the_definition(Case c)
    {
        Values v = new(c, backend.Device.Value.ActivationDType);
        OpCall call = Inputs(c, v);
        for (int i = 0; i < c.Parts.Length; i++)
        {
            double[] y = [.. v.Y[i].Select(value => NaiveActivation.Value(c.Activation, value))];
            if (c.Parts[i].Rank > 0) call.Output($"s{i}", v.S[i], backend.Rounded(2e-6), c.M, c.Parts[i].Rank);
            call.Output($"y{i}", y, Rounded, c.M, c.Parts[i].N);
        }

        call.Check((device, t) => device.LoraMatMulForward(t["x"], Projections(c, t), new Dropout(c.Dropout, 11), All(c, t, "s"), All(c, t, "y"),
            c.Activation));
    }

    [TestCaseSource(nameof(Cases))]
    public void Backward_agrees_with_the_definition(Case c)
    {
        DType dtype = backend.Device.Value.ActivationDType;
        Values v = new(c, dtype);
        OpCall call = Inputs(c, v);
        for (int i = 0; i < c.Parts.Length; i++)
        {
            Part p = c.Parts[i];
            call.Activation($"dy{i}", v.Dy[i], c.M, p.N);
            if (p.Rank > 0) call.Activation($"s{i}", [.. v.S[i].Select(value => Storage.Round(value, dtype))], c.M, p.Rank);
            if (!c.Train) continue;
            if (c.Full) call.InPlaceF32($"dw{i}", v.Start(p.N * c.K), Sum(v.Start(p.N * c.K), v.Dw[i]), backend.Products(2e-6), p.N, c.K);
            if (c.Bias) call.InPlaceF32($"dbias{i}", v.Start(p.N), Sum(v.Start(p.N), v.Dbias[i]), backend.Products(2e-6), p.N);
            if (p.Rank == 0) continue;
            if (!p.SharesA) call.InPlaceF32($"da{i}", v.Start(p.Rank * c.K), Sum(v.Start(p.Rank * c.K), v.Da[i]), Rounded, p.Rank, c.K);
            call.InPlaceF32($"db{i}", v.Start(p.N * p.Rank), Sum(v.Start(p.N * p.Rank), v.Db[i]), backend.Rounded(2e-6), p.N, p.Rank);
        }

        if (c.Dx && c.Accumulate) call.InPlace("dx", v.Start(c.M * c.K), Sum(v.Start(c.M * c.K), v.Dx), Rounded, c.M, c.K);
        else if (c.Dx) call.Output("dx", v.Dx, Rounded, c.M, c.K);
        call.Check((device, t) => device.LoraMatMulBackward(
            All(c, t, "dy"), t["x"], Projections(c, t), new Dropout(c.Dropout, 11), All(c, t, "s"), Gradients(c, t), t["dx"], c.Accumulate));
    }

    [Test]
    public void An_adapter_whose_B_is_zero_changes_no_bit([Values(16, 5)] int rank)
    {
        const int M = 70, K = 80, N = 40;
        IBackend device = backend.Device.Value;
        DType dtype = device.ActivationDType;
        RandomTensors random = new(9);
        using GuardedTensors t = new(device, backend.Alignment);
        t.Add("x", new Shape(M, K), dtype, Storage.Pack(random.Normal(M * K, dtype: dtype), dtype));
        t.Add("w", new Shape(N, K), DType.F32, Storage.Pack(random.Normal(N * K), DType.F32));
        t.Add("a", new Shape(rank, K), DType.F32, Storage.Pack(random.Normal(rank * K), DType.F32));
        t.Add("b", new Shape(N, rank), DType.F32, new byte[N * rank * 4]);
        t.Add("s", new Shape(M, rank), dtype, new byte[M * rank * dtype.Size()]);
        foreach (string y in (string[])["plain", "adapted"]) t.Add(y, new Shape(M, N), dtype, new byte[M * N * dtype.Size()]);
        device.LoraMatMulForward(t["x"], [new Projection(t["w"])], default, [default], [t["plain"]]);
        device.LoraMatMulForward(t["x"], [new Projection(t["w"], A: t["a"], B: t["b"], Scale: Scale)], new Dropout(0.1f, 1), [t["s"]], [t["adapted"]]);
        Assert.That(t.Download("adapted"), Is.EqualTo(t.Download("plain")));
    }

    [Test]
    public void Gradients_are_finite_differences_of_the_op_itself([Values(0f, 0.4f)] float dropout)
    {
        Case c = new(3, 18, [new Part(20, 4)], Bias: true, Dropout: dropout);
        Values v = new(c, DType.F32);
        OpCall call = Inputs(c, v).Output("s0", v.S[0], 0, c.M, 4).Output("y0", v.Y[0], 0, c.M, 20);
        foreach ((string name, double[] gradient) in new[] { ("x", v.Dx), ("w0", v.Dw[0]), ("bias0", v.Dbias[0]), ("a0", v.Da[0]), ("b0", v.Db[0]) })
        {
            call.CheckGradient(
                (device, t) => device.LoraMatMulForward(t["x"], Projections(c, t), new Dropout(dropout, 11), All(c, t, "s"), All(c, t, "y")),
                name, "y0", v.Dy[0], gradient);
        }
    }

    [Test]
    public void Lists_of_different_lengths_are_refused()
    {
        using GuardedTensors t = new(backend.Device.Value, backend.Alignment);
        t.Add("x", new Shape(2, 3), DType.F32, new byte[24]);
        t.Add("w", new Shape(4, 3), DType.F32, new byte[48]);
        t.Add("y", new Shape(2, 4), DType.F32, new byte[32]);
        t.Add("b", new Shape(4, 1), DType.F32, new byte[16]);
        IBackend device = backend.Device.Value;
        Assert.That(() => device.LoraMatMulForward(t["x"], [new Projection(t["w"])], default, [], [t["y"]]), Throws.ArgumentException);
        Assert.That(() => device.LoraMatMulForward(t["x"], [new Projection(t["w"])], default, [default], []), Throws.ArgumentException);
        Assert.That(() => device.LoraMatMulForward(t["x"], [new Projection(t["w"], B: t["b"])], default, [default], [t["y"]]),
            Throws.ArgumentException);
        Assert.That(() => device.LoraMatMulBackward([t["y"]], t["x"], [new Projection(t["w"])], default, [default], [], default),
            Throws.ArgumentException);
        Assert.That(() => device.LoraMatMulForward(t["x"], [new Projection(t["w"])], new Dropout(1, 0), [default], [t["y"]]),
            Throws.ArgumentException);
    }

    [Test]
    public void An_A_that_others_than_neighbours_share_is_refused()
    {
        using GuardedTensors t = new(backend.Device.Value, backend.Alignment);
        foreach (string name in (string[])["x", "w", "a", "da", "other", "y", "b", "db", "s"])
            t.Add(name, new Shape(2, 2), DType.F32, new byte[16]);
        Projection p = new(t["w"], A: t["a"], B: t["b"], Scale: 1);
        ProjectionGradient shared = new(A: t["da"], B: t["db"]), other = new(A: t["other"], B: t["db"]);
        void Backward(params ProjectionGradient[] gradients) => backend.Device.Value.LoraMatMulBackward(
            [t["y"], t["y"], t["y"]], t["x"], [p, p, p], default, [t["s"], t["s"], t["s"]], gradients, default);
        Assert.That(() => Backward(shared, other, shared), Throws.ArgumentException.With.Message.Contains("gradients[0] and gradients[2]"));
    }

    private OpCall Inputs(Case c, Values v)
    {
        OpCall call = new OpCall(backend).Activation("x", v.X, c.M, c.K);
        for (int i = 0; i < c.Parts.Length; i++)
        {
            call.Float($"w{i}", c.Weights, v.W[i], c.Parts[i].N, c.K);
            if (c.Bias) call.F32($"bias{i}", v.Bias[i], c.Parts[i].N);
            if (c.Parts[i].Rank == 0) continue;
            if (!c.Parts[i].SharesA) call.F32($"a{i}", v.A[i], c.Parts[i].Rank, c.K);
            call.F32($"b{i}", v.B[i], c.Parts[i].N, c.Parts[i].Rank);
        }

        return call;
    }

    private static Projection[] Projections(Case c, GuardedTensors t) =>
        [.. c.Parts.Select((_, i) => new Projection(t[$"w{i}"], t[$"bias{i}"], t[$"a{c.Owner(i)}"], t[$"b{i}"], Scale))];

    private static ProjectionGradient[] Gradients(Case c, GuardedTensors t) =>
        [.. c.Parts.Select((_, i) => new ProjectionGradient(t[$"dw{i}"], t[$"dbias{i}"], t[$"da{c.Owner(i)}"], t[$"db{i}"]))];

    private static Tensor[] All(Case c, GuardedTensors t, string name) => [.. c.Parts.Select((_, i) => t[$"{name}{i}"])];

    private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    /// <summary>SharesA: with the part before it.</summary>
    public sealed record Part(int N, int Rank = 0, bool SharesA = false);

    /// <summary>Train: whether there are gradients of parameters at all; Full: whether dW is among them.</summary>
    public sealed record Case(
        int M, int K, Part[] Parts, float Dropout = 0, bool Bias = false, DType Weights = DType.F32, bool Accumulate = false,
        Activation Activation = Activation.None, bool Train = true, bool Full = true, bool Dx = true)
    {
        /// <summary>The part whose A part <paramref name="i"/> has.</summary>
        public int Owner(int i)
        {
            while (Parts[i].SharesA) i--;
            return i;
        }

        public override string ToString() =>
            $"{M}x{K} to {string.Join(",", Parts.Select(p => $"{p.N}r{p.Rank}{(p.SharesA ? "=" : "")}"))} {Weights} dropout {Dropout} {Activation} "
            + $"{(Bias ? "bias " : "")}{(Accumulate ? "+= " : "")}{(Train ? "" : "frozen ")}{(Full ? "" : "adapter ")}{(Dx ? "" : "no dx")}";
    }

    /// <summary>Inputs, and what the definitions make of them.</summary>
    private sealed class Values
    {
        private readonly int _seed;

        public Values(Case c, DType dtype)
        {
            _seed = c.M + c.K;
            RandomTensors random = new(_seed);
            X = random.Normal(c.M * c.K, dtype: dtype);
            double[] kept = NaiveProduct.Drop(X, new Dropout(c.Dropout, 11));
            Dx = new double[c.M * c.K];
            int count = c.Parts.Length;
            W = new double[count][];
            (Bias, A, B, S, Y) = (new double[count][], new double[count][], new double[count][], new double[count][], new double[count][]);
            (Dy, Dw, Dbias, Da, Db) = (new double[count][], new double[count][], new double[count][], new double[count][], new double[count][]);
            for (int i = 0; i < count; i++)
            {
                (int n, int r) = (c.Parts[i].N, c.Parts[i].Rank);
                W[i] = random.Normal(n * c.K, dtype: c.Weights);
                Bias[i] = random.Normal(n);
                A[i] = c.Parts[i].SharesA ? A[i - 1] : random.Normal(r * c.K);
                B[i] = random.Normal(n * r);
                Dy[i] = random.Normal(c.M * n, dtype: dtype);
                S[i] = [.. NaiveProduct.Multiply(kept, A[i], c.M, r, c.K, transB: true).Select(value => Scale * value)];
                Y[i] = NaiveProduct.Multiply(X, W[i], c.M, n, c.K, transB: true);
                NaiveProduct.Add(Y[i], NaiveProduct.Multiply(S[i], B[i], c.M, n, r, transB: true));
                for (int at = 0; c.Bias && at < Y[i].Length; at++) Y[i][at] += Bias[i][at % n];
                double[] ds = [.. NaiveProduct.Multiply(Dy[i], B[i], c.M, r, n).Select(value => Scale * value)];
                Dw[i] = NaiveProduct.Multiply(Dy[i], X, n, c.K, c.M, transA: true);
                Dbias[i] = NaiveProduct.Multiply([.. Enumerable.Repeat(1.0, c.M)], Dy[i], 1, n, c.M);
                Db[i] = NaiveProduct.Multiply(Dy[i], S[i], n, r, c.M, transA: true);
                Da[i] = NaiveProduct.Multiply(ds, kept, r, c.K, c.M, transA: true);
                if (c.Parts[i].SharesA) NaiveProduct.Add(Da[c.Owner(i)], Da[i]);
                NaiveProduct.Add(Dx, NaiveProduct.Multiply(Dy[i], W[i], c.M, c.K, n));
                NaiveProduct.Add(Dx, NaiveProduct.Drop(NaiveProduct.Multiply(ds, A[i], c.M, c.K, r), new Dropout(c.Dropout, 11)));
            }
        }

        public double[] X { get; }

        public double[] Dx { get; }

        public double[][] W { get; }

        public double[][] Bias { get; }

        public double[][] A { get; }

        public double[][] B { get; }

        public double[][] S { get; }

        public double[][] Y { get; }

        public double[][] Dy { get; }

        public double[][] Dw { get; }

        public double[][] Dbias { get; }

        public double[][] Da { get; }

        public double[][] Db { get; }

        /// <summary>What stands in a gradient before it is added to.</summary>
        public double[] Start(int count) => new RandomTensors(_seed + count).Normal(count);
    }
}
