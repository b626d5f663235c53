using System;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Compute.Tests.Cpu;

/// <summary>
/// binary16 rows are taken apart at 2⁻¹¹² of their size and queries carry the rest: numbers at both ends of either range come out as they are.
/// </summary>
[TestFixture]
internal sealed class HalfRowsTests
{
    // The smallest and largest, subnormal and normal, and zeros.
    private static readonly float[] s_ends = [5.9604645e-8f, -5.9604645e-8f, 6.097555e-5f, 6.1035156e-5f, -65504, 65504, 0, -0f, 1, -1.5f];

    [Test]
    public void Products_are_those_of_float32([Values(1, 3, 9)] int queries, [Values(1, 31, 45, 2100)] int width, [Values(1, 65536, 3e9f, 1e-30f)] float size)
    {
        Random random = new(width);
        const int N = 40;
        Half[] rows = [.. Enumerable.Range(0, N * width).Select(i => (Half)(i % 3 == 0 ? s_ends[random.Next(s_ends.Length)] : random.NextSingle() - 0.5f))];
        float[] query = [.. Enumerable.Range(0, queries * width).Select(_ => size * (random.NextSingle() - 0.5f))];
        using CpuBackend cpu = new(2);
        using DeviceMemory q = cpu.Allocate(4 * query.Length), r = cpu.Allocate(2 * rows.Length), s = cpu.Allocate(4 * queries * N), n = cpu.Allocate(8 * queries * N);
        Tensor asked = new(q, 0, new Shape(queries, width), DType.F32), halves = new(r, 0, new Shape(N, width), DType.F16);
        Tensor scores = new(s, 0, new Shape(queries, N), DType.F32), indices = new(n, 0, new Shape(queries, N), DType.I64);
        cpu.Upload<float>(query, asked);
        cpu.Upload<Half>(rows, halves);
        cpu.ScoreTopK(asked, halves, default, default, 0, scores, indices, merge: false);
        float[] found = cpu.ToArray(scores), again = new float[queries * N];
        long[] order = new long[queries * N];
        cpu.Download(indices, System.Runtime.InteropServices.MemoryMarshal.AsBytes(order.AsSpan()));
        HostRows.Score(query, width, halves, default, 0, order, again, distance: false);
        Assert.That(again, Is.EqualTo(found));
        for (int i = 0; i < found.Length; i++)
        {
            int of = i / N * width;
            double sum = 0, absolute = 0;
            for (int j = 0; j < width; j++)
            {
                double product = (double)query[of + j] * (double)(float)rows[(order[i] * width) + j];
                sum += product;
                absolute += Math.Abs(product);
            }

            Assert.That(found[i], Is.EqualTo(sum).Within((absolute * 4e-7) + 1e-44), $"row {order[i]} of query {i / N}");
        }
    }

    [Test]
    public void A_row_times_a_matrix_of_halves([Values(1, 1e9f)] float size)
    {
        const int N = 2100, K = 2051;
        Random random = new(1);
        using CpuBackend cpu = new(2);
        using DeviceMemory left = cpu.Allocate(4 * K), right = cpu.Allocate(2 * N * K), result = cpu.Allocate(4 * N);
        float[] a = [.. Enumerable.Range(0, K).Select(_ => size * (random.NextSingle() - 0.5f))];
        Half[] b = [.. Enumerable.Range(0, N * K).Select(_ => (Half)(random.NextSingle() - 0.5f))];
        Tensor one = new(left, 0, new Shape(1, K), DType.F32), many = new(right, 0, new Shape(N, K), DType.F16), c = new(result, 0, new Shape(1, N), DType.F32);
        cpu.Upload<float>(a, one);
        cpu.Upload<Half>(b, many);
        cpu.MatMul(one, many, c, transB: true);
        float[] products = cpu.ToArray(c);
        for (int i = 0; i < N; i++)
        {
            double sum = 0;
            for (int j = 0; j < K; j++) sum += (double)a[j] * (double)(float)b[(i * K) + j];
            Assert.That(products[i], Is.EqualTo(sum).Within(1e-5 * size));
        }
    }
}
