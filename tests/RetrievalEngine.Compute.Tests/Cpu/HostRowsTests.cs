using System;
using System.Linq;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Compute.Tests.Cpu;

/// <summary>Single rows get the scores that a scan gives them, to the bit, in whatever order and company they come.</summary>
[TestFixture]
internal sealed class HostRowsTests
{
    [Test]
    public void Scores_are_those_of_a_scan([Values(DType.F32, DType.BF16, DType.F16, DType.I8)] DType dtype, [Values(1, 33, 768, 1024, 1025, 2100, 4096, 4100)] int width,
        [Values(1, 2, 7)] int queries)
    {
        const int N = 23, First = 100;
        Random random = new(width);
        using CpuBackend cpu = new(2);
        float[] query = [.. Enumerable.Range(0, queries * width).Select(_ => random.NextSingle() - 0.5f)], scales = [.. Enumerable.Range(0, N).Select(_ => random.NextSingle())];
        using DeviceMemory q = cpu.Allocate(4 * query.Length), r = cpu.Allocate((long)N * width * dtype.Size()), f = cpu.Allocate(4 * N), s = cpu.Allocate(4 * queries * N);
        using DeviceMemory n = cpu.Allocate(8 * queries * N);
        Tensor asked = new(q, 0, new Shape(queries, width), DType.F32), rows = new(r, 0, new Shape(N, width), dtype), factors = new(f, 0, new Shape(N), DType.F32);
        Tensor scores = new(s, 0, new Shape(queries, N), DType.F32), indices = new(n, 0, new Shape(queries, N), DType.I64);
        cpu.Upload<float>(query, asked);
        cpu.Upload<float>(scales, factors);
        if (dtype == DType.I8) cpu.Upload<sbyte>([.. Enumerable.Range(0, N * width).Select(_ => (sbyte)random.Next(-127, 128))], rows);
        else if (dtype == DType.F32) cpu.Upload<float>([.. Enumerable.Range(0, N * width).Select(_ => random.NextSingle() - 0.5f)], rows);
        else if (dtype == DType.F16) cpu.Upload<Half>([.. Enumerable.Range(0, N * width).Select(_ => (Half)(random.NextSingle() - 0.5f))], rows);
        else cpu.Upload<ushort>([.. Enumerable.Range(0, N * width).Select(_ => (ushort)(BitConverter.SingleToUInt32Bits(random.NextSingle() - 0.5f) >> 16))], rows);
        cpu.ScoreTopK(asked, rows, factors, default, First, scores, indices, merge: false);
        float[] found = cpu.ToArray(scores), again = new float[queries * N];
        long[] order = new long[queries * N];
        cpu.Download(indices, MemoryMarshal.AsBytes(order.AsSpan()));

        // Rows that are none of these stay as they are, first, last and between others.
        long[] wanted = [.. order.Select((row, i) => i % 5 == 0 ? (i % 2 == 0 ? -1 : First + N) : row)];
        HostRows.Score(query, width, rows, factors, First, wanted, again, distance: false);
        Assert.That(again, Is.EqualTo(found.Select((score, i) => i % 5 == 0 ? 0 : score)));
    }
}
