using System;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Bench;

/// <summary><c>topk</c>: exact search, milliseconds a query and shares of the limits.</summary>
internal static unsafe class TopKReport
{
    private const int Rows = 200_000, Width = 768;

    public static void Run()
    {
        foreach (int threads in (int[])[1, 2])
        {
            using CpuBackend cpu = new(threads);
            using CpuMemory memory = new(4L * Rows * Width);
            Random random = new(1);
            foreach (ref float value in new Span<float>(memory.Pointer, (int)(memory.Length / 4))) value = random.NextSingle() - 0.5f;
            double peak = Peak.Fma(threads), bandwidth = Peak.Read(threads, memory.Pointer, memory.Length);
            Console.WriteLine($"\n{cpu.Name}; peak {peak / 1e9:f0} GFLOP/s, {bandwidth / 1e9:f1} GB/s; 200,000 rows of 768\n");
            Console.WriteLine($"{"rows",-6}{"queries",9}{"k",6}{"ms/query",10}{"GFLOP/s",9}{"of peak",9}{"GB/s",8}{"of read",9}{"in turn",9}  (times as long as one query, or as k = 10)");
            foreach (DType dtype in (DType[])[DType.F32, DType.BF16, DType.F16, DType.I8])
            {
                using Search one = new(cpu, memory, dtype, 1, 10), eight = new(cpu, memory, dtype, 8, 10), sixteen = new(cpu, memory, dtype, 16, 10);
                using Search many = new(cpu, memory, dtype, 256, 10), deep = new(cpu, memory, dtype, 256, 1000);
                foreach ((Search search, Search? other) in ((Search, Search?)[])[(one, null), (eight, one), (sixteen, one), (many, null), (deep, many)])
                    Report(search, other, peak, bandwidth);
            }
        }
    }

    private static void Report(Search search, Search? other, double peak, double bandwidth)
    {
        double seconds, times = double.NaN;
        if (other is null) seconds = Timing.Median(search.Run, 5);
        else (_, seconds, times) = Timing.Pairs(other.Run, search.Run);
        double flops = 2.0 * search.Queries * Rows * Width;
        Console.WriteLine(
            $"{search.DType,-6}{search.Queries,9}{search.K,6}{seconds * 1e3 / search.Queries,10:f3}{flops / seconds / 1e9,9:f1}{flops / seconds / peak,9:f3}"
            + $"{search.Bytes / seconds / 1e9,8:f1}{search.Bytes / seconds / bandwidth,9:f3}{(other is null ? "" : $"{times:f2}"),9}");
    }

    /// <summary>Queries and room for their results over rows that all searches share.</summary>
    private sealed class Search : IDisposable
    {
        private readonly CpuBackend _cpu;
        private readonly CpuMemory _left, _scores, _indices, _scales;
        private readonly Tensor _queries, _rows, _scale, _best, _ids;

        public Search(CpuBackend cpu, CpuMemory memory, DType dtype, int queries, int k)
        {
            _cpu = cpu;
            (DType, Queries, K) = (dtype, queries, k);
            (_left, _scores, _indices, _scales) = (new(4L * queries * Width), new(4L * queries * k), new(8L * queries * k), new(4L * Rows));
            Random random = new(2);
            foreach (ref float value in new Span<float>(_left.Pointer, queries * Width)) value = random.NextSingle() - 0.5f;
            // As an index scans codes.
            for (int i = 0; dtype == DType.I8 && i < queries; i++) FixedPoint.TryRound(new Span<float>((float*)_left.Pointer + (i * Width), Width));
            new Span<float>(_scales.Pointer, Rows).Fill(1);
            (_queries, _rows) = (new(_left, 0, new Shape(queries, Width), DType.F32), new(memory, 0, new Shape(Rows, Width), dtype));
            (_best, _ids) = (new(_scores, 0, new Shape(queries, k), DType.F32), new(_indices, 0, new Shape(queries, k), DType.I64));
            _scale = dtype == DType.I8 ? new(_scales, 0, new Shape(Rows), DType.F32) : default;
        }

        public DType DType { get; }

        public int Queries { get; }

        public int K { get; }

        public long Bytes => _rows.Bytes;

        public void Run() => _cpu.ScoreTopK(_queries, _rows, _scale, default, 0, _best, _ids, merge: false);

        public void Dispose()
        {
            _left.Dispose();
            _scores.Dispose();
            _indices.Dispose();
            _scales.Dispose();
        }
    }
}
