using System;
using System.Linq;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda.Products;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>Matrix products in every shape of block: which one a launch takes is a matter of speed alone.</summary>
[TestFixture]
[Category("Ops")]
internal sealed class ProductShapeTests
{
    private const int M = 140, N = 280, K = 72;
    private CudaBackend _backend = null!;

    [OneTimeSetUp]
    public void Create()
    {
        if (CudaLibrary.Missing is { } reason) CiGate.SkipOrFail(reason);
        // The device that runs most of them: of an emulated driver the one of sm_90.
        CudaDevice device = CudaDevice.List(out _).MaxBy(d => (d.Major, d.Minor, -d.Ordinal))!;
        Assert.That(CudaBackend.TryCreate(device.Ordinal, DType.BF16, out CudaBackend? backend, out string why), why);
        _backend = backend!;
        if (CudaLibrary.IsEmulated) Assert.That(ProductShape.Hopper.Has(false, true, device), "the emulated driver has a device of sm_90");
    }

    [TearDown]
    public void Reset()
    {
        if (_backend is not null) _backend.Shape = null;
    }

    [OneTimeTearDown]
    public void Dispose() => _backend?.Dispose();

    [Test]
    public void All_shapes_give_the_same_bits([Values] bool transA, [Values] bool transB, [Values(DType.BF16, DType.F16, DType.F32)] DType dtype)
    {
        RandomTensors random = new(5);
        double[] a = random.Normal(M * K, dtype: dtype), b = random.Normal(K * N, dtype: dtype), bias = random.Normal(N);
        double[] expected = NaiveProduct.Multiply(a, b, M, N, K, transA, transB);
        for (int i = 0; i < expected.Length; i++) expected[i] = 0.5 * expected[i] + bias[i % N];
        using GuardedTensors tensors = new(_backend, 16);
        tensors.Add("a", transA ? new Shape(K, M) : new Shape(M, K), dtype, Storage.Pack(a, dtype));
        tensors.Add("b", transB ? new Shape(N, K) : new Shape(K, N), dtype, Storage.Pack(b, dtype));
        tensors.Add("bias", new Shape(N), DType.F32, Storage.Pack(bias, DType.F32));

        float[]? first = null;
        foreach (ProductShape shape in ProductShape.All.Where(s => s.Has(transA, transB, _backend.Device)))
        {
            byte[] poison = new byte[M * N * sizeof(float)];
            Array.Fill(poison, (byte)0xFF);
            tensors.Add("c", new Shape(M, N), DType.F32, poison);
            _backend.Shape = shape;
            _backend.MatMul(tensors["a"], tensors["b"], tensors["c"], transA, transB, 0.5f, bias: tensors["bias"]);
            float[] c = MemoryMarshal.Cast<byte, float>(tensors.Download("c")).ToArray();
            tensors.CheckGuards();
            first ??= c;
            Assert.That(c.AsSpan().SequenceEqual(first), $"{shape.Name} differs from {ProductShape.All.First(s => s.Has(transA, transB, _backend.Device)).Name}");
        }

        Agreement.Check("c", Array.ConvertAll(first!, value => (double)value), expected, 2e-5);
    }

    [Test]
    public void All_shapes_give_LoRA_the_same_bits([Values(DType.BF16, DType.F32)] DType dtype)
    {
        // Two projections, so that blocks of both share a grid; dropout, whose mask falls between the segments of dx; more k than a ring of tiles.
        const int Tokens = 150, Width = 264, Rank = 16;
        int[] outputs = [136, 300];
        RandomTensors random = new(6);
        using GuardedTensors t = new(_backend, 16);
        Add("x", dtype, Tokens, Width);
        for (int i = 0; i < outputs.Length; i++)
        {
            Add($"w{i}", dtype, outputs[i], Width);
            Add($"a{i}", DType.F32, Rank, Width);
            Add($"b{i}", DType.F32, outputs[i], Rank);
            Add($"s{i}", dtype, Tokens, Rank);
            Add($"dy{i}", dtype, Tokens, outputs[i]);
        }

        Projection[] projections = [.. outputs.Select((_, i) => new Projection(t[$"w{i}"], A: t[$"a{i}"], B: t[$"b{i}"], Scale: 2))];
        Dropout dropout = new(0.3f, 12);
        byte[][]? first = null;
        foreach (ProductShape shape in ProductShape.All.Where(s => s.Has(false, true, _backend.Device)))
        {
            foreach (string name in (string[])["y0", "y1", "dx"]) Add(name, dtype, Tokens, name == "dx" ? Width : outputs[name[1] - '0']);
            for (int i = 0; i < outputs.Length; i++) t.Add($"dw{i}", new Shape(outputs[i], Width), DType.F32, new byte[4 * outputs[i] * Width]);
            _backend.Shape = shape;
            _backend.LoraMatMulForward(t["x"], projections, dropout, All("s"), All("y"));
            _backend.LoraMatMulBackward(
                All("dy"), t["x"], projections, dropout, All("s"), [.. All("dw").Select(dw => new ProjectionGradient(dw))], t["dx"]);
            t.CheckGuards();
            byte[][] results = [.. ((string[])["y0", "y1", "dx", "dw0", "dw1"]).Select(t.Download)];
            first ??= results;
            for (int i = 0; i < results.Length; i++)
                Assert.That(results[i].AsSpan().SequenceEqual(first[i]), $"result {i} of {shape.Name} differs from {ProductShape.All[0].Name}");
        }

        Tensor[] All(string name) => [.. outputs.Select((_, i) => t[$"{name}{i}"])];

        void Add(string name, DType type, int rows, int columns) =>
            t.Add(name, new Shape(rows, columns), type, Storage.Pack(random.Normal(rows * columns, dtype: type), type));
    }

    [Test]
    public void Fragments_are_read_without_bank_conflicts([Values] bool transA, [Values] bool transB)
    {
        if (!CudaLibrary.IsEmulated) Assert.Ignore("only the emulated driver counts them");
        using GuardedTensors tensors = new(_backend, 16);
        foreach ((string name, int rows, int columns) in new[] { ("a", transA ? K : M, transA ? M : K), ("b", transB ? N : K, transB ? K : N), ("c", M, N) })
            tensors.Add(name, new Shape(rows, columns), DType.BF16, new byte[2 * rows * columns]);
        foreach (ProductShape shape in ProductShape.All.Where(s => s != ProductShape.Hopper && s.Has(transA, transB, _backend.Device)))
        {
            _backend.Shape = shape;
            _backend.MatMul(tensors["a"], tensors["b"], tensors["c"], transA, transB);
            _backend.Synchronize();
            KernelCounters counters = KernelCounters.Of($"matmul_{shape.Name}_{(transA ? 't' : 'n')}{(transB ? 't' : 'n')}_bf16");
            Assert.That(counters.MatrixPhases, Is.Positive);
            Assert.That(counters.MatrixConflicts, Is.Zero, shape.Name);
        }
    }

    [Test]
    public void Few_rows_take_small_blocks_and_many_wide_ones()
    {
        Assert.That(Choice(1, 4096), Is.EqualTo("small"));
        Assert.That(Choice(32, 4096), Is.EqualTo("small"));
        Assert.That(Choice(512, 4096), Is.EqualTo("large"));
        Assert.That(Choice(8192, 4096), Is.EqualTo("wide"));

        static string Choice(long m, long n) =>
            ProductShape.All.Where(shape => shape != ProductShape.Hopper).MinBy(shape => shape.Time(shape.Blocks(m, n), 132))!.Name;
    }
}
