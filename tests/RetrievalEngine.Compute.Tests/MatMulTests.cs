using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.All))]
[Category("Ops")]
internal sealed class MatMulTests(TestBackend backend)
{
    private static IEnumerable<Case> Cases()
    {
        // Rows at and around every height of a tile, with both orders of either operand.
        foreach (int m in Sizes.Tile) yield return new Case(m, 33, 20, TransA: m % 3 == 0, TransB: m % 2 == 0);
        foreach (int n in Sizes.Tile) yield return new Case(15, n, 17, TransA: n % 2 == 0, TransB: n % 3 != 0);
        foreach (int k in Sizes.VectorOrNone) yield return new Case(3, 20, k, TransA: k % 2 == 0, TransB: k % 4 < 2, Bias: true);
        // More k than one chunk and one span, more rows than one block, few rows and many.
        foreach (bool transA in (bool[])[false, true])
        {
            foreach (bool transB in (bool[])[false, true])
            {
                yield return new Case(1, 70, 1100, transA, transB);
                yield return new Case(40, 37, 523, transA, transB, Alpha: 0.5f, Bias: true);
                yield return new Case(401, 67, 257, transA, transB, Accumulate: true);
                yield return new Case(150, 16, 1300, transA, transB, Alpha: -2);
                foreach (DType dtype in (DType[])[DType.F16, DType.BF16]) yield return new Case(9, 45, 35, transA, transB, dtype);
            }
        }

        foreach (DType dtype in (DType[])[DType.F16, DType.BF16])
        {
            yield return new Case(300, 40, 290, TransB: true, B: dtype, Bias: true, Activation: Activation.GeluErf);
            yield return new Case(1, 64, 300, TransB: true, B: dtype);
        }

        // Few rows times a right side that lies row by row: each number of vectors, tiles and panels of columns that are not whole, several chunks of k.
        foreach (DType dtype in (DType[])[DType.F32, DType.F16, DType.BF16])
        {
            foreach (int m in (int[])[16, 33, 48, 65, 128]) yield return new Case(m, 103, 1101, TransB: true, B: dtype, Alpha: 0.5f, Bias: true);
        }

        yield return new Case(30, 50, 1030, TransB: true, Accumulate: true, Alpha: -2);
        foreach (int k in (int[])[1, 15, 16, 17]) yield return new Case(20, 13, k, TransB: true, B: DType.F16);
        yield return new Case(20, 9, 0, TransB: true, Bias: true);
        // One row and a matrix beyond the caches.
        yield return new Case(1, 1030, 4090, TransB: true, Bias: true, Activation: Activation.Relu);
        yield return new Case(1, 1025, 4096, TransB: true, B: DType.BF16, Accumulate: true, Alpha: 0.5f);
        yield return new Case(1, 1025, 4101, TransB: true, B: DType.F16);
        yield return new Case(1, 2100, 2037, TransB: true, B: DType.BF16);
        foreach (Activation activation in (Activation[])[Activation.Silu, Activation.GeluErf, Activation.GeluTanh, Activation.Relu, Activation.Tanh])
            yield return new Case(17, 40, 30, TransB: true, Bias: true, Activation: activation);
        yield return new Case(5, 40, 300, TransB: true, Accumulate: true, Bias: true, Alpha: 3);
        yield return new Case(5, 40, 30, TransB: true, Accumulate: true, Bias: true, Activation: Activation.Silu);
        yield return new Case(0, 3, 4);
        yield return new Case(3, 0, 4);
        yield return new Case(200, 9, 0, Accumulate: true);
    }

    [TestCaseSource(nameof(Cases))]
    public void Agrees_with_the_definition(Case c)
    {
        RandomTensors random = new(c.M + 7 * c.N + 31 * c.K);
        DType dtype = backend.Device.Value.ActivationDType;
        double[] a = random.Normal(c.M * c.K, dtype: dtype), b = random.Normal(c.K * c.N, dtype: c.B), bias = random.Normal(c.N);
        double[] before = random.Normal(c.M * c.N, dtype: dtype), product = NaiveProduct.Multiply(a, b, c.M, c.N, c.K, c.TransA, c.TransB);
        double[] expected = [.. product.Select((sum, i) => NaiveActivation.Value(c.Activation, c.Alpha * sum + (c.Bias ? bias[i % c.N] : 0)))];
        OpCall call = new OpCall(backend).Activation("a", a, c.TransA ? c.K : c.M, c.TransA ? c.M : c.K)
            .Float("b", c.B, b, c.TransB ? c.N : c.K, c.TransB ? c.K : c.N);
        if (c.Bias) call.F32("bias", bias, c.N);
        if (c.Accumulate) call.InPlace("c", before, [.. expected.Zip(before, (x, y) => x + y)], backend.Products(1e-6), c.M, c.N);
        else call.Output("c", expected, backend.Products(1e-6), c.M, c.N);
        call.Check((device, t) => device.MatMul(t["a"], t["b"], t["c"], c.TransA, c.TransB, c.Alpha, c.Accumulate, t["bias"], c.Activation));
    }

    [Test]
    public void A_row_does_not_depend_on_the_other_rows([Values] bool transB, [Values(DType.F32, DType.F16, DType.BF16)] DType dtype)
    {
        const int M = 300, N = 75, K = 1333;
        RandomTensors random = new(3);
        double[] a = random.Normal(M * K), b = random.Normal(N * K, dtype: dtype);
        IBackend device = backend.Device.Value;
        using GuardedTensors tensors = new(device, backend.Alignment);
        tensors.Add("a", new Shape(M, K), DType.F32, Storage.Pack(a, DType.F32));
        tensors.Add("b", transB ? new Shape(N, K) : new Shape(K, N), dtype, Storage.Pack(b, dtype));
        tensors.Add("c", new Shape(M, N), DType.F32, new byte[M * N * 4]);
        device.MatMul(tensors["a"], tensors["b"], tensors["c"], transB: transB, alpha: 0.3f);
        double[] whole = Storage.Unpack(tensors.Download("c"), DType.F32);
        foreach (int rows in (int[])[1, 2, 9, 14, 15, 16, 31, 65, 100, 129])
        {
            tensors.Add("part", new Shape(rows, N), DType.F32, new byte[rows * N * 4]);
            device.MatMul(tensors["a"].Slice(7, rows), tensors["b"], tensors["part"], transB: transB, alpha: 0.3f);
            Assert.That(Storage.Unpack(tensors.Download("part"), DType.F32), Is.EqualTo(whole.Skip(7 * N).Take(rows * N)), $"{rows} rows");
        }
    }

    [Test]
    public void A_right_side_that_takes_several_passes_gives_what_its_parts_give()
    {
        const int M = 130, N = 6600, K = 2000;
        backend.RequireWork(2.0 * M * N * K);
        IBackend device = backend.Device.Value;
        using GuardedTensors tensors = new(device, backend.Alignment);
        Random random = new(1);
        float[] a = new float[M * K], b = new float[N * K];
        for (int i = 0; i < a.Length; i++) a[i] = random.NextSingle() - 0.5f;
        for (int i = 0; i < b.Length; i++) b[i] = random.NextSingle() - 0.5f;
        tensors.Add("a", new Shape(M, K), DType.F32, MemoryMarshal.AsBytes(a.AsSpan()));
        tensors.Add("b", new Shape(N, K), DType.F32, MemoryMarshal.AsBytes(b.AsSpan()));
        tensors.Add("c", new Shape(M, N), DType.F32, new byte[M * N * 4]);
        device.MatMul(tensors["a"], tensors["b"], tensors["c"], transB: true);
        tensors.CheckGuards();
        double[] whole = Storage.Unpack(tensors.Download("c"), DType.F32);
        foreach ((int first, int count) in new[] { (0, 100), (6000, 300), (6567, 33) })
        {
            tensors.Add("part", new Shape(M, count), DType.F32, new byte[M * count * 4]);
            device.MatMul(tensors["a"], tensors["b"].Slice(first, count), tensors["part"], transB: true);
            double[] part = Storage.Unpack(tensors.Download("part"), DType.F32);
            for (int i = 0; i < M; i++)
                Assert.That(part.AsSpan(i * count, count).SequenceEqual(whole.AsSpan(i * N + first, count)), $"row {i} from column {first}");
        }
    }

    public sealed record Case(
        int M, int N, int K, bool TransA = false, bool TransB = false, DType B = DType.F32, float Alpha = 1, bool Accumulate = false,
        bool Bias = false, Activation Activation = Activation.None);
}
