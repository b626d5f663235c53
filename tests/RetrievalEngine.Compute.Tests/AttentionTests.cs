using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixture]
internal sealed class AttentionTests
{
    private const int Buckets = 8;

    public sealed record Case(string Name, int[] Lengths, int Heads, int KvHeads, int HeadDim, AttentionOptions Options, bool Bias = false)
    {
        public override string ToString() => Name;
    }

    private static IEnumerable<Case> Cases()
    {
        int[] mixed = [3, 0, 1, 17, 64, 5];
        foreach (int d in (int[])[1, 2, 3, 7, 8, 15, 16, 17, 24, 31, 32, 33, 48, 64, 72, 80, 96, 100, 128, 160, 192, 255, 256])
        {
            yield return new Case($"head_dim {d} causal", mixed, 2, 1, d, new AttentionOptions(1 / MathF.Sqrt(d), WindowRight: 0));
            yield return new Case($"head_dim {d} bidirectional", mixed, 1, 1, d, new AttentionOptions(1 / MathF.Sqrt(d)));
        }

        foreach (int n in (int[])[1, 2, 7, 8, 9, 13, 14, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 96, 97, 127, 128, 129, 191, 193, 255, 257, 300])
        {
            yield return new Case($"length {n} causal", [n], 1, 1, 16, new AttentionOptions(0.25f, WindowRight: 0));
            yield return new Case($"length {n} bidirectional", [n, 1], 1, 1, 24, new AttentionOptions(0.2f));
            yield return new Case($"length {n} window", [n], 2, 2, 8, new AttentionOptions(0.3f, 4, 2));
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
        yield return new Case("no sequences", [], 2, 1, 8, new AttentionOptions(1));
        yield return new Case("only empty sequences", [0, 0], 2, 1, 8, new AttentionOptions(1));
        yield return new Case("many short", [.. Enumerable.Repeat(4, 50)], 2, 2, 16, new AttentionOptions(0.25f, WindowRight: 0));
    }

    [TestCaseSource(nameof(Cases))]
    public void Forward_and_backward_agree_with_the_definition(Case c)
    {
        using CpuBackend backend = new(2);
        using Run run = new(backend, c);
        run.Compute();
        NaiveAttention naive = new(run.CuSeqLens, c.Heads, c.KvHeads, c.HeadDim, c.Options, Widen(run.Bias));
        (double[] o, double[] lse) = naive.Forward(Widen(run.Q), Widen(run.K), Widen(run.V));
        (double[] dq, double[] dk, double[] dv, double[] dbias) = naive.Backward(Widen(run.DO), Widen(run.Q), Widen(run.K), Widen(run.V));
        using (Assert.EnterMultipleScope())
        {
            Assert.That(Error(run.O, o), Is.LessThan(1e-6), "o");
            Assert.That(Error(run.Lse, lse), Is.LessThan(1e-6), "lse");
            Assert.That(Error(run.Dq, dq), Is.LessThan(3e-6), "dq");
            Assert.That(Error(run.Dk, dk), Is.LessThan(3e-6), "dk");
            Assert.That(Error(run.Dv, dv), Is.LessThan(3e-6), "dv");
            Assert.That(Error(run.Dbias.Select(x => x - 1).ToArray(), dbias), Is.LessThan(3e-5), "drelativeBias is added to what was there");
        }
    }

    private static double[] Widen(ReadOnlySpan<float> x)
    {
        double[] wide = new double[x.Length];
        for (int i = 0; i < wide.Length; i++) wide[i] = x[i];
        return wide;
    }

    /// <summary>Relative error in the L2 norm; absolute per element where the exact answer is 0, as the gradient of a softmax over one key.</summary>
    private static double Error(ReadOnlySpan<float> actual, double[] expected)
    {
        double difference = 0, norm = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            difference += Math.Pow(actual[i] - expected[i], 2);
            norm += expected[i] * expected[i];
        }

        return Math.Sqrt(difference / (norm > 1e-12 ? norm : Math.Max(expected.Length, 1)));
    }

    /// <summary>One case with random data in device memory, every tensor between guard bytes.</summary>
    private sealed class Run : IDisposable
    {
        private const int Guard = 256;
        private readonly CpuBackend _backend;
        private readonly List<DeviceMemory> _memory = [];
        private readonly Case _case;
        private readonly Tensor _q, _k, _v, _dO, _o, _lse, _dq, _dk, _dv, _bias, _dbias, _cuSeqLens;

        public Run(CpuBackend backend, Case c)
        {
            _backend = backend;
            _case = c;
            CuSeqLens = new int[c.Lengths.Length + 1];
            for (int b = 0; b < c.Lengths.Length; b++) CuSeqLens[b + 1] = CuSeqLens[b] + c.Lengths[b];
            long tokens = CuSeqLens[^1];
            Shape query = new(tokens, c.Heads, c.HeadDim), key = new(tokens, c.KvHeads, c.HeadDim);
            Random random = new(7);
            _q = Normal(query, random);
            _k = Normal(key, random);
            _v = Normal(key, random);
            _dO = Normal(query, random);
            _o = New(query, float.NaN);
            _lse = New(new Shape(c.Heads, tokens), float.NaN);
            _dq = New(query, float.NaN);
            _dk = New(key, float.NaN);
            _dv = New(key, float.NaN);
            _bias = c.Bias ? Normal(new Shape(Buckets, c.Heads), random) : default;
            _dbias = c.Bias ? New(new Shape(Buckets, c.Heads), 1) : default;
            _cuSeqLens = new Tensor(Keep(backend.Allocate(CuSeqLens.Length * 4L)), 0, new Shape(CuSeqLens.Length), DType.I32);
            backend.Upload(MemoryMarshal.AsBytes(CuSeqLens.AsSpan()), _cuSeqLens);
        }

        public int[] CuSeqLens { get; }

        public Span<float> Q => _q.AsSpan<float>();

        public Span<float> K => _k.AsSpan<float>();

        public Span<float> V => _v.AsSpan<float>();

        public Span<float> DO => _dO.AsSpan<float>();

        public float[] O => _o.AsSpan<float>().ToArray();

        public float[] Lse => _lse.AsSpan<float>().ToArray();

        public float[] Dq => _dq.AsSpan<float>().ToArray();

        public float[] Dk => _dk.AsSpan<float>().ToArray();

        public float[] Dv => _dv.AsSpan<float>().ToArray();

        public Span<float> Bias => _bias.AsSpan<float>();

        public float[] Dbias => _dbias.AsSpan<float>().ToArray();

        public void Compute()
        {
            int longest = _case.Lengths.Length == 0 ? 0 : _case.Lengths.Max();
            _backend.AttentionForward(_q, _k, _v, _cuSeqLens, longest, _case.Options, _bias, _o, _lse);
            _backend.AttentionBackward(_dO, _q, _k, _v, _o, _lse, _cuSeqLens, longest, _case.Options, _bias, _dq, _dk, _dv, _dbias);
            foreach (DeviceMemory memory in _memory) CheckGuards(memory);
        }

        public void Dispose()
        {
            foreach (DeviceMemory memory in _memory) memory.Dispose();
        }

        private Tensor Normal(Shape shape, Random random)
        {
            Tensor tensor = New(shape, 0);
            foreach (ref float x in tensor.AsSpan<float>())
                x = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
            return tensor;
        }

        private Tensor New(Shape shape, float value)
        {
            DeviceMemory memory = Keep(_backend.Allocate((2 * Guard) + 4 + (shape.Count * 4)));
            new Tensor(memory, 0, new Shape(memory.Length), DType.I8).AsSpan<byte>().Fill(0xA5);
            // Four bytes off: no op may lean on the alignment of a view.
            Tensor tensor = new(memory, Guard + 4, shape, DType.F32);
            tensor.AsSpan<float>().Fill(value);
            return tensor;
        }

        private DeviceMemory Keep(DeviceMemory memory)
        {
            _memory.Add(memory);
            return memory;
        }

        private static void CheckGuards(DeviceMemory memory)
        {
            if (memory.Length < 2 * Guard) return;
            ReadOnlySpan<byte> bytes = new Tensor(memory, 0, new Shape(memory.Length), DType.I8).AsSpan<byte>();
            Assert.That(bytes[..Guard].ContainsAnyExcept((byte)0xA5) || bytes[^Guard..].ContainsAnyExcept((byte)0xA5), Is.False, "a guard byte was overwritten");
        }
    }
}
