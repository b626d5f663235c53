using System;
using System.Linq;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>Rows in host memory are searched as those on the device are, to the same bits, through however small a piece of it.</summary>
[TestFixture]
internal sealed class RowStreamTests
{
    private const int Queries = 3, Width = 24, K = 7;

    [TestCase(DType.F32, 1000, 1)]
    [TestCase(DType.F16, 1000, 4096)]
    [TestCase(DType.BF16, 1000, 1 << 20)]
    [TestCase(DType.I8, 1000, 4000)]
    [TestCase(DType.F16, 85, 4096)]
    [TestCase(DType.F16, 86, 4096)]
    [TestCase(DType.F16, 0, 4096)]
    public void Gives_the_bits_of_rows_on_the_device(DType dtype, int count, int pieceBytes)
    {
        if (CudaLibrary.Missing is { } reason) CiGate.SkipOrFail(reason);
        Assert.That(CudaBackend.TryCreate(0, DType.F32, out CudaBackend? backend, out string why), why);
        using CudaBackend device = backend!;
        device.StreamedBytes = pieceBytes;
        // Pieces of one row are many kernels.
        if (pieceBytes < Width) count = Math.Min(count, 20);
        RandomTensors random = new(count);
        byte[] bytes = dtype == DType.I8
            ? [.. random.Integers(count * Width, 255).Select(i => (byte)(sbyte)(i - 127))]
            : Storage.Pack(random.Normal(count * Width, dtype: dtype), dtype);
        using GuardedTensors t = new(device, 16);
        t.Add("queries", new Shape(Queries, Width), DType.F32, Storage.Pack(random.Normal(Queries * Width), DType.F32));
        t.Add("rows", new Shape(count, Width), dtype, bytes);
        if (dtype == DType.I8) t.Add("scales", new Shape(count), DType.F32, Storage.Pack(random.Uniform(count, 0.001, 0.002), DType.F32));
        t.Add("terms", new Shape(count), DType.F32, Storage.Pack([.. random.Normal(count).Select((term, row) => row % 5 == 2 ? double.NaN : term)], DType.F32));
        t.Add("scores", new Shape(Queries, K), DType.F32, new byte[Queries * K * sizeof(float)]);
        t.Add("indices", new Shape(Queries, K), DType.I64, new byte[Queries * K * sizeof(long)]);
        using CpuMemory host = new(bytes.Length);
        Tensor streamed = new(host, 0, new Shape(count, Width), dtype);
        bytes.CopyTo(streamed.AsSpan<byte>());

        (byte[], byte[]) Search(Tensor rows)
        {
            device.ScoreTopK(t["queries"], rows, t["scales"], t["terms"], 500, t["scores"], t["indices"], merge: false);
            // A second time, with lists that these rows are in: each stands there twice.
            device.ScoreTopK(t["queries"], rows, t["scales"], t["terms"], 5000, t["scores"], t["indices"], merge: true);
            t.CheckGuards();
            return (t.Download("scores"), t.Download("indices"));
        }

        (byte[] Scores, byte[] Indices) expected = Search(t["rows"]);
        Assert.That(Search(streamed), Is.EqualTo(expected));
        if (count > 0) Assert.That(MemoryMarshal.Cast<byte, long>(expected.Indices)[0], Is.InRange(500, 500 + count));
    }
}
