using System;
using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.All))]
[Category("Ops")]
internal sealed class AttentionTests(TestBackend backend)
{
    private const int Buckets = 8;

    private static IEnumerable<Case> Cases()
    {
        foreach (int d in (int[])[1, 2, 3, 7, 8, 15, 16, 17, 24, 31, 32, 33, 48, 64, 72, 80, 96, 100, 128, 160, 192, 255, 256])
        {
            yield return new Case($"head_dim {d} causal", [3, 0, 1, 17, 64, 5], 2, 1, d, new AttentionOptions(1 / MathF.Sqrt(d), WindowRight: 0));
            yield return new Case($"head_dim {d}", [9, 0, 1, 20], 1, 1, d, new AttentionOptions(1 / MathF.Sqrt(d)));
        }

        foreach (int n in (int[])[1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 95, 97, 127, 128, 129, 191, 193, 255, 257, 300])
        {
            yield return new Case($"length {n} causal", [n, 2], 1, 1, 16, new AttentionOptions(0.25f, WindowRight: 0));
            yield return new Case($"length {n}", [n, 2], 1, 1, 24, new AttentionOptions(0.2f));
            yield return new Case($"length {n} window", [3, n], 2, 2, 8, new AttentionOptions(0.3f, 4, 2));
            yield return new Case($"length {n} everything", [2, n], 4, 2, 12, new AttentionOptions(0.3f, 40, 70, 5f, 20), Bias: true);
        }

        foreach (int left in (int[])[-1, 0, 1, 15, 16, 63, 100, int.MaxValue])
        {
            foreach (int right in (int[])[-1, 0, 1, 16, 65, int.MaxValue])
                yield return new Case($"window {left} {right}", [150, 0, 33], 2, 1, 8, new AttentionOptions(0.35f, left, right));
        }

        foreach ((int heads, int kv) in ((int, int)[])[(8, 8), (8, 4), (8, 2), (8, 1), (6, 2), (3, 1), (14, 2)])
            yield return new Case($"heads {heads} over {kv}", [20, 70], heads, kv, 16, new AttentionOptions(0.25f, WindowRight: 0));
        yield return new Case("soft cap causal", [40, 65], 4, 2, 32, new AttentionOptions(0.5f, WindowRight: 0, SoftCap: 2));
        yield return new Case("relative bias", [200, 0, 65], 4, 4, 16, new AttentionOptions(1, RelativeMaxDistance: 16), Bias: true);
        yield return new Case("logits of hundreds", [70, 30], 1, 1, 16, new AttentionOptions(20, WindowRight: 0), Slack: 30);
        yield return new Case("no sequences", [], 2, 1, 8, new AttentionOptions(1));
        yield return new Case("only empty sequences", [0, 0], 2, 1, 8, new AttentionOptions(1));
        yield return new Case("many short", [.. Enumerable.Repeat(4, 150)], 2, 2, 16, new AttentionOptions(0.25f, WindowRight: 0));
        yield return new Case("small", [3, 5], 2, 1, 4, new AttentionOptions(0.5f, WindowRight: 0));
        yield return new Case("small with bias", [3, 5], 2, 1, 4, new AttentionOptions(0.5f, SoftCap: 3, RelativeMaxDistance: 6), Bias: true);
    }

    [TestCaseSource(nameof(Cases))]
    public void Agrees_with_the_definition(Case c)
    {
        backend.RequireWork(c.Work);
        Calls calls = new(backend, c);
        calls.Forward.Check(calls.RunForward);
        // A softmax over one key has no gradient; in float32 what is left of it is rounding.
        if (c.Options is not { WindowLeft: 0, WindowRight: 0 }) calls.Backward.Check(calls.RunBackward);
    }

    [Test]
    public void Same_bits_on_many_threads()
    {
        if (backend.Family != "CPU") Assert.Ignore("about the threads of the CPU backend");
        TestBackend many = new("CPU 7 threads", backend.Family, backend.Alignment, new Lazy<IBackend>(() => new CpuBackend(7)));
        foreach (Case c in (Case[])
            [
                new("causal", [700, 20, 300], 2, 1, 16, new AttentionOptions(0.25f, WindowRight: 0)),
                new("window and bias", [20, 600], 2, 2, 16, new AttentionOptions(0.25f, 200, 90, RelativeMaxDistance: 30), Bias: true),
            ])
        {
            Calls calls = new(many, c);
            calls.Forward.Check(calls.RunForward);
            calls.Backward.Check(calls.RunBackward);
        }

        many.Device.Value.Dispose();
    }

    [Test]
    public void Gradient_is_finite_differences([Values] bool bias, [Values(0f, 2f)] float softCap)
    {
        Case c = new("", [6, 0, 3], 4, 2, 5, new AttentionOptions(0.5f, 4, 2, softCap, RelativeMaxDistance: 6), bias);
        Calls calls = new(backend, c);
        foreach ((string input, double[] gradient) in calls.Gradients)
            calls.Forward.CheckGradient(calls.RunForward, input, "o", calls.DO, gradient);
    }

    [Test]
    public void Reference_gradient_is_finite_differences()
    {
        Case c = new("", [4, 1, 3], 2, 1, 3, new AttentionOptions(0.6f, 2, 1, 1.5f, RelativeMaxDistance: 5), Bias: true);
        Calls calls = new(backend, c);
        foreach ((string input, double[] gradient) in calls.Gradients)
        {
            FiniteDifferences.Check(
                input, moved => FiniteDifferences.Dot(calls.Reference(input, moved).O, calls.DO), calls.Input(input), gradient,
                samples: gradient.Length);
        }
    }

    [Test]
    public void A_query_whose_keys_all_have_a_bias_of_minus_infinity_gives_zero()
    {
        double[] bias = new double[Buckets];
        Array.Fill(bias, double.NegativeInfinity);
        double[] x = [1, 2, 3], zero = new double[3];
        AttentionOptions options = new(1);
        new OpCall(backend).Activation("q", x, 3, 1, 1).Activation("k", x, 3, 1, 1).Activation("v", x, 3, 1, 1)
            .I32("cuSeqLens", [0, 3], 2).AnySize("cuSeqLens").F32("bias", bias, Buckets, 1)
            .Output("o", zero, 0, 3, 1, 1).OutputF32("lse", [.. bias.Take(3)], 0, 1, 3)
            .Check((b, t) => b.AttentionForward(t["q"], t["k"], t["v"], t["cuSeqLens"], 3, options, t["bias"], t["o"], t["lse"]));
        new OpCall(backend).Activation("do", x, 3, 1, 1).Activation("q", x, 3, 1, 1).Activation("k", x, 3, 1, 1).Activation("v", x, 3, 1, 1)
            .Activation("o", zero, 3, 1, 1).F32("lse", [.. bias.Take(3)], 1, 3)
            .I32("cuSeqLens", [0, 3], 2).AnySize("cuSeqLens").F32("bias", bias, Buckets, 1)
            .Output("dq", zero, 0, 3, 1, 1).Output("dk", zero, 0, 3, 1, 1).Output("dv", zero, 0, 3, 1, 1)
            .Check((b, t) => b.AttentionBackward(
                t["do"], t["q"], t["k"], t["v"], t["o"], t["lse"], t["cuSeqLens"], 3, options, t["bias"], t["dq"], t["dk"], t["dv"], default));
    }

    [Test]
    public void A_number_that_is_none_stays_visible()
    {
        double[] nan = [double.NaN, double.NaN];
        AttentionOptions options = new(1);
        new OpCall(backend).Activation("q", [double.NaN, 1], 2, 1, 1).Activation("k", [1, 1], 2, 1, 1).Activation("v", [1, 1], 2, 1, 1)
            .I32("cuSeqLens", [0, 2], 2).AnySize("cuSeqLens")
            .Output("o", [double.NaN, 1], 0, 2, 1, 1).OutputF32("lse", [double.NaN, 1 + Math.Log(2)], 1e-7, 1, 2)
            .Check((b, t) => b.AttentionForward(t["q"], t["k"], t["v"], t["cuSeqLens"], 2, options, default, t["o"], t["lse"]));
        new OpCall(backend).Activation("q", [1, 1], 2, 1, 1).Activation("k", [1, double.NaN], 2, 1, 1).Activation("v", [1, 1], 2, 1, 1)
            .I32("cuSeqLens", [0, 2], 2).AnySize("cuSeqLens").Output("o", nan, 0, 2, 1, 1).OutputF32("lse", nan, 0, 1, 2)
            .Check((b, t) => b.AttentionForward(t["q"], t["k"], t["v"], t["cuSeqLens"], 2, options, default, t["o"], t["lse"]));
    }

    [TestCase(-2, -1, 0f, 8, 16, 5, "windows")]
    [TestCase(-1, -3, 0f, 8, 16, 5, "windows")]
    [TestCase(-1, -1, -1f, 8, 16, 5, "softCap")]
    [TestCase(-1, -1, float.NaN, 8, 16, 5, "softCap")]
    [TestCase(-1, -1, 0f, 7, 16, 5, "buckets")]
    [TestCase(-1, -1, 0f, 2, 16, 5, "buckets")]
    [TestCase(-1, -1, 0f, 8, 2, 5, "relativeMaxDistance")]
    [TestCase(-1, -1, 0f, 8, 16, 4, "maxSeqLen")]
    [TestCase(-1, -1, 0f, 8, 16, -1, "maxSeqLen")]
    public void Options_out_of_range_are_refused(int left, int right, float softCap, int buckets, int maxDistance, int maxSeqLen, string names)
    {
        // The longest sequence itself is known to the device alone.
        if (maxSeqLen == 4) backend.RequireHostMemory();
        AttentionOptions options = new(1, left, right, softCap, maxDistance);
        double[] x = new double[5];
        OpCall call = new OpCall(backend).Activation("q", x, 5, 1, 1).I32("cuSeqLens", [0, 5], 2).F32("bias", new double[buckets], buckets, 1)
            .Output("o", x, 0, 5, 1, 1).OutputF32("lse", x, 0, 1, 5);
        Assert.That(
            () => call.Check((b, t) => b.AttentionForward(t["q"], t["q"], t["q"], t["cuSeqLens"], maxSeqLen, options, t["bias"], t["o"], t["lse"])),
            Throws.ArgumentException.With.Message.StartsWith("AttentionForward: ").And.Message.Contains(names));
    }

    [Test]
    public void Lengths_that_leave_the_tokens_are_refused_on_the_host([Values(0, 1, 2, 3)] int kind)
    {
        backend.RequireHostMemory();
        int[] cuSeqLens = kind == 0 ? [0, 6] : kind == 1 ? [0, 6, 5] : kind == 2 ? [1, 5] : [0, 4];
        double[] x = new double[5];
        AttentionOptions options = new(1);
        OpCall call = new OpCall(backend).Activation("q", x, 5, 1, 1).I32("cuSeqLens", cuSeqLens, cuSeqLens.Length)
            .Output("o", x, 0, 5, 1, 1).OutputF32("lse", x, 0, 1, 5);
        Assert.That(
            () => call.Check((b, t) => b.AttentionForward(t["q"], t["q"], t["q"], t["cuSeqLens"], 100, options, default, t["o"], t["lse"])),
            Throws.ArgumentException);
    }

    [Test]
    public void Tokens_of_no_sequence_are_refused()
    {
        double[] x = new double[5];
        AttentionOptions options = new(1);
        OpCall call = new OpCall(backend).Activation("q", x, 5, 1, 1).I32("cuSeqLens", [0], 1).Output("o", x, 0, 5, 1, 1).OutputF32("lse", x, 0, 1, 5);
        Assert.That(
            () => call.Check((b, t) => b.AttentionForward(t["q"], t["q"], t["q"], t["cuSeqLens"], 100, options, default, t["o"], t["lse"])),
            Throws.ArgumentException.With.Message.Contains("no sequence"));
    }

    [Test]
    public void Heads_and_widths_out_of_range_are_refused()
    {
        foreach ((int heads, int kvHeads, int headDim) in ((int, int, int)[])[(3, 2, 4), (2, 4, 4), (1, 1, 257), (1, 1, 0)])
        {
            double[] q = new double[heads * headDim], k = new double[kvHeads * headDim];
            AttentionOptions options = new(1);
            OpCall call = new OpCall(backend).Activation("q", q, 1, heads, headDim).Activation("k", k, 1, kvHeads, headDim)
                .I32("cuSeqLens", [0, 1], 2).Output("o", q, 0, 1, heads, headDim).OutputF32("lse", new double[heads], 0, heads, 1);
            Assert.That(
                () => call.Check((b, t) => b.AttentionForward(t["q"], t["k"], t["k"], t["cuSeqLens"], 1, options, default, t["o"], t["lse"])),
                Throws.ArgumentException);
        }
    }

    // 32 buckets up to 128: exact below 8, then borders at 8 · 16^(k/8), rounded up.
    [Test]
    public void Buckets_grow_logarithmically()
    {
        (int From, int Bucket)[] changes =
        [
            (-140, 15), (-90, 14), (-63, 13), (-45, 12), (-31, 11), (-22, 10), (-15, 9), (-11, 8),
            (-7, 7), (-6, 6), (-5, 5), (-4, 4), (-3, 3), (-2, 2), (-1, 1), (0, 0), (1, 17), (2, 18), (3, 19), (4, 20), (5, 21), (6, 22), (7, 23),
            (8, 24), (12, 25), (16, 26), (23, 27), (32, 28), (46, 29), (64, 30), (91, 31),
        ];
        for (int i = 0; i < changes.Length; i++)
        {
            for (int relative = changes[i].From; relative < (i + 1 < changes.Length ? changes[i + 1].From : 141); relative++)
                Assert.That(RelativeBuckets.Bucket(relative, 32, 128), Is.EqualTo(changes[i].Bucket), $"relative position {relative}");
        }
    }

    public sealed record Case(
        string Name, int[] Lengths, int Heads, int KvHeads, int HeadDim, AttentionOptions Options, bool Bias = false, double Slack = 1)
    {
        /// <summary>Operations of both passes, were every key seen.</summary>
        public double Work => 14.0 * Lengths.Sum(n => (double)n * n) * Heads * HeadDim;

        public override string ToString() => Name;
    }

    /// <summary>Both passes of one case on random data, with what the definition expects.</summary>
    private sealed class Calls
    {
        private readonly Case _case;
        private readonly NaiveAttention _naive;
        private readonly int _longest;
        private readonly double[] _q, _k, _v, _bias;

        public Calls(TestBackend backend, Case c)
        {
            _case = c;
            _longest = c.Lengths.Length == 0 ? 0 : c.Lengths.Max();
            int[] cuSeqLens = new int[c.Lengths.Length + 1];
            for (int b = 0; b < c.Lengths.Length; b++) cuSeqLens[b + 1] = cuSeqLens[b] + c.Lengths[b];
            int tokens = cuSeqLens[^1];
            DType dtype = backend.Device.Value.ActivationDType;
            // Probabilities are rounded to 16 bits between two products; those of F32 tensors are not.
            double Rounded(double exact) => dtype == DType.F32 ? exact : backend.Rounded(exact);
            RandomTensors random = new(tokens + c.HeadDim);
            _q = random.Normal((long)tokens * c.Heads * c.HeadDim, dtype: dtype);
            _k = random.Normal((long)tokens * c.KvHeads * c.HeadDim, dtype: dtype);
            _v = random.Normal(_k.Length, dtype: dtype);
            DO = random.Normal(_q.Length, dtype: dtype);
            _bias = c.Bias ? random.Normal(Buckets * c.Heads) : [];
            _naive = new NaiveAttention(cuSeqLens, c.Heads, c.KvHeads, c.HeadDim, c.Options);
            (double[] o, double[] lse) = _naive.Forward(_q, _k, _v, _bias);
            long[] query = [tokens, c.Heads, c.HeadDim], key = [tokens, c.KvHeads, c.HeadDim];
            Forward = new OpCall(backend).Activation("q", _q, query).Activation("k", _k, key).Activation("v", _v, key)
                .I32("cuSeqLens", cuSeqLens, cuSeqLens.Length).Output("o", o, Rounded(1e-6 * c.Slack), query).OutputF32("lse", lse, 1e-6, c.Heads, tokens);
            var exact = _naive.Backward(DO, _q, _k, _v, o, _bias);
            Gradients = [("q", exact.Dq), ("k", exact.Dk), ("v", exact.Dv)];
            if (c.Bias) Gradients = [.. Gradients, ("bias", exact.Dbias)];
            (o, lse) = ([.. o.Select(x => Storage.Round(x, dtype))], [.. lse.Select(x => Storage.Round(x, DType.F32))]);
            (double[] dq, double[] dk, double[] dv, double[] dbias) = _naive.Backward(DO, _q, _k, _v, o, _bias);
            double tolerance = Rounded(4e-6 * c.Slack);
            Backward = new OpCall(backend).Activation("do", DO, query).Activation("q", _q, query).Activation("k", _k, key).Activation("v", _v, key)
                .Activation("o", o, query).F32("lse", lse, c.Heads, tokens).I32("cuSeqLens", cuSeqLens, cuSeqLens.Length)
                .Output("dq", dq, tolerance, query).Output("dk", dk, tolerance, key).Output("dv", dv, tolerance, key);
            // Without tokens there is nothing wrong with one more empty sequence, and a device's lengths are not looked at.
            if (tokens == 0 || !backend.HasHostMemory) (Forward, Backward) = (Forward.AnySize("cuSeqLens"), Backward.AnySize("cuSeqLens"));
            if (!c.Bias) return;
            double[] before = random.Normal(_bias.Length);
            Forward.F32("bias", _bias, Buckets, c.Heads);
            Backward.F32("bias", _bias, Buckets, c.Heads)
                .InPlaceF32("dbias", before, [.. before.Zip(dbias, (x, y) => x + y)], 2e-5, Buckets, c.Heads);
        }

        public OpCall Forward { get; }

        public OpCall Backward { get; }

        public double[] DO { get; }

        /// <summary>Gradients of Σ DO · o.</summary>
        public (string Input, double[] Gradient)[] Gradients { get; }

        public double[] Input(string name) => name switch { "q" => _q, "k" => _k, "v" => _v, _ => _bias };

        /// <summary>The definition with one input replaced.</summary>
        public (double[] O, double[] Lse) Reference(string name, double[] moved) =>
            _naive.Forward(name == "q" ? moved : _q, name == "k" ? moved : _k, name == "v" ? moved : _v, name == "bias" ? moved : _bias);

        public void RunForward(IBackend b, GuardedTensors t) =>
            b.AttentionForward(t["q"], t["k"], t["v"], t["cuSeqLens"], _longest, _case.Options, t["bias"], t["o"], t["lse"]);

        public void RunBackward(IBackend b, GuardedTensors t) => b.AttentionBackward(
            t["do"], t["q"], t["k"], t["v"], t["o"], t["lse"], t["cuSeqLens"], _longest, _case.Options, t["bias"],
            t["dq"], t["dk"], t["dv"], t["dbias"]);
    }
}
