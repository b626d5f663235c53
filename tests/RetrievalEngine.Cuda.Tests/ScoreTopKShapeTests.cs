using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>A search by every kernel that there is for it: which one a call takes is a matter of speed alone.</summary>
[TestFixture]
[Category("Ops")]
internal sealed class ScoreTopKShapeTests
{
    private const int Rows = 700, Width = 144, K = 9;

    [OneTimeSetUp]
    public void Require()
    {
        if (CudaLibrary.Missing is { } reason) CiGate.SkipOrFail(reason);
    }

    [TestCase(DType.F16, 300, "wide")]
    [TestCase(DType.BF16, 300, "wide")]
    [TestCase(DType.I8, 300, "wide")]
    [TestCase(DType.F32, 300, "wide")]
    [TestCase(DType.BF16, 100, "large")]
    [TestCase(DType.I8, 100, "large")]
    [TestCase(DType.F32, 100, "large")]
    [TestCase(DType.BF16, 30, "narrow")]
    [TestCase(DType.I8, 30, "narrow")]
    [TestCase(DType.F32, 30, "narrow")]
    public void Kernels_for_many_queries_find_what_those_for_few_find(DType dtype, int queries, string shape)
    {
        RandomTensors random = new(9);
        double[] wanted = random.Normal(queries * Width);
        byte[] rows = dtype == DType.I8
            ? [.. random.Integers(Rows * Width, 255).Select(i => (byte)(sbyte)(i - 127))]
            : Storage.Pack(random.Normal(Rows * Width, dtype: dtype), dtype);
        byte[] scales = Storage.Pack(random.Uniform(Rows, 0.001, 0.002), DType.F32), terms = Storage.Pack(random.Normal(Rows, 0.01), DType.F32);
        byte[]? first = null;
        foreach (CudaDevice device in CudaDevice.List(out _))
        {
            Assert.That(CudaBackend.TryCreate(device.Ordinal, DType.F32, out CudaBackend? created, out string why), why);
            using CudaBackend backend = created!;
            using GuardedTensors t = new(backend, 16);
            t.Add("queries", new Shape(queries, Width), DType.F32, Storage.Pack(wanted, DType.F32));
            t.Add("rows", new Shape(Rows, Width), dtype, rows);
            t.Add("scales", new Shape(Rows), DType.F32, scales);
            t.Add("terms", new Shape(Rows), DType.F32, terms);
            t.Add("scores", new Shape(queries, K), DType.F32, new byte[queries * K * sizeof(float)]);
            t.Add("indices", new Shape(queries, K), DType.I64, new byte[queries * K * sizeof(long)]);
            first ??= Search(4);
            string kernel = shape == "wide" && dtype is DType.F16 or DType.BF16 && device.Major == 9 ? "hopper" : shape;
            string name = $"scoretopk_{kernel}_{Suffix(dtype)}";
            ulong before = CudaLibrary.IsEmulated ? KernelCounters.Of(name).Launches : 0;
            Assert.That(Search(queries).SequenceEqual(first), $"{name} finds something else");
            if (!CudaLibrary.IsEmulated) continue;
            KernelCounters counters = KernelCounters.Of(name);
            Assert.That(counters.Launches, Is.GreaterThan(before), $"{name} was not launched");
            Assert.That(counters.MatrixConflicts, Is.Zero, $"bank conflicts of {name}");

            byte[] Search(int together)
            {
                for (int from = 0; from < queries; from += together)
                {
                    int count = System.Math.Min(together, queries - from);
                    backend.ScoreTopK(t["queries"].Slice(from, count), t["rows"], t["scales"], t["terms"], 0, t["scores"].Slice(from, count),
                        t["indices"].Slice(from, count), merge: false);
                }

                t.CheckGuards();
                return [.. t.Download("scores"), .. t.Download("indices")];
            }
        }
    }

    private static string Suffix(DType dtype) => dtype switch { DType.I8 => "s8", DType.F32 => "f32", DType.F16 => "f16", _ => "bf16" };
}
