using System;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Bench;

/// <summary><c>topk</c>: exact search, milliseconds a query and shares of the limits.</summary>
internal static unsafe class TopKReport
{
    public static void Run()
    {
        foreach (int threads in (int[])[1, 2])
        {
            using CpuBackend cpu = new(threads);
            using CpuMemory memory = new(200_000L * 768 * 4);
            Random random = new(1);
            foreach (ref float value in new Span<float>(memory.Pointer, (int)(memory.Length / 4))) value = random.NextSingle() - 0.5f;
            double peak = Peak.Fma(threads), bandwidth = Peak.Read(threads, memory.Pointer, memory.Length);
            Console.WriteLine($"\n{cpu.Name}; peak {peak / 1e9:f0} GFLOP/s, {bandwidth / 1e9:f1} GB/s; 200,000 rows of 768\n");
            Console.WriteLine($"{"rows",-6}{"queries",9}{"k",6}{"ms/query",10}{"GFLOP/s",9}{"of peak",9}{"GB/s",8}{"of read",9}");
            foreach (DType dtype in (DType[])[DType.F32, DType.BF16, DType.F16, DType.I8])
            {
                foreach ((int queries, int k) in ((int, int)[])[(1, 10), (8, 10), (16, 10), (256, 10), (256, 1000)])
                    Report(cpu, memory, dtype, queries, k, peak, bandwidth);
            }
        }
    }

    private static void Report(CpuBackend cpu, CpuMemory memory, DType dtype, int queries, int k, double peak, double bandwidth)
    {
        const int Rows = 200_000, Width = 768;
        using CpuMemory left = new(4L * queries * Width), scores = new(4L * queries * k), indices = new(8L * queries * k), scales = new(4L * Rows);
        Random random = new(2);
        foreach (ref float value in new Span<float>(left.Pointer, queries * Width)) value = random.NextSingle() - 0.5f;
        // As an index scans codes.
        for (int i = 0; dtype == DType.I8 && i < queries; i++) FixedPoint.TryRound(new Span<float>((float*)left.Pointer + (i * Width), Width));
        new Span<float>(scales.Pointer, Rows).Fill(1);
        Tensor q = new(left, 0, new Shape(queries, Width), DType.F32), rows = new(memory, 0, new Shape(Rows, Width), dtype);
        Tensor best = new(scores, 0, new Shape(queries, k), DType.F32), ids = new(indices, 0, new Shape(queries, k), DType.I64);
        Tensor scale = dtype == DType.I8 ? new(scales, 0, new Shape(Rows), DType.F32) : default;
        double seconds = Timing.Median(() => cpu.ScoreTopK(q, rows, scale, default, 0, best, ids, merge: false), 5), flops = 2.0 * queries * Rows * Width;
        Console.WriteLine(
            $"{dtype,-6}{queries,9}{k,6}{seconds * 1e3 / queries,10:f3}{flops / seconds / 1e9,9:f1}{flops / seconds / peak,9:f3}"
            + $"{rows.Bytes / seconds / 1e9,8:f1}{rows.Bytes / seconds / bandwidth,9:f3}");
    }
}
