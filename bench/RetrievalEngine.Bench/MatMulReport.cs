using System;
using System.Collections.Generic;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Bench;

/// <summary>
/// <c>matmul [threads [m,n,k]]</c>: products as a linear layer makes them (weights [N, K]) beside OpenBLAS's sgemm, and as a share of what the machine can do.
/// </summary>
internal static unsafe class MatMulReport
{
    private const long WeightBytes = 512L << 20;

    private static readonly (int M, int N, int K)[] s_shapes =
        [(512, 512, 512), (2048, 768, 768), (2048, 3072, 768), (4096, 1024, 1024), (4096, 2816, 1024), (32, 2048, 2048), (1, 4096, 4096)];

    public static void Run(ReadOnlySpan<string> arguments)
    {
        bool compare = OpenBlas.TryLoad(out string description);
        Console.WriteLine(description);
        List<int> counts = arguments.Length > 0 ? [int.Parse(arguments[0], System.Globalization.CultureInfo.InvariantCulture)] : [1, 2];
        (int M, int N, int K)[] shapes = s_shapes;
        if (arguments.Length > 1)
        {
            int[] sizes = Array.ConvertAll(arguments[1].Split(','), size => int.Parse(size, System.Globalization.CultureInfo.InvariantCulture));
            shapes = [(sizes[0], sizes[1], sizes[2])];
        }

        using CpuMemory weights = new(WeightBytes);
        Random random = new(1);
        // Either half of a value is a reasonable bfloat16.
        foreach (ref uint bits in new Span<uint>(weights.Pointer, (int)(WeightBytes / 4)))
            bits = (RandomBits(random) & 0xFFFF0000) | (RandomBits(random) >> 16);
        foreach (int threads in counts)
        {
            using CpuBackend cpu = new(threads);
            using Workers workers = new(threads);
            double peak = Peak.Fma(threads), bandwidth = Peak.Read(threads, weights.Pointer, WeightBytes);
            if (compare) OpenBlas.SetThreads(threads);
            Console.WriteLine($"\n{cpu.Name}; peak {peak / 1e9:f0} GFLOP/s, {bandwidth / 1e9:f1} GB/s\n");
            Console.WriteLine($"{"m, n, k",-18}{"weights",-9}{"ours",9}{"OpenBLAS",10}{"ratio",8}{"of peak",9}{"GB/s",8}{"of read",9}");
            foreach ((int m, int n, int k) in shapes)
            {
                foreach (DType dtype in (DType[])[DType.F32, DType.BF16]) Report(cpu, workers, compare, weights, m, n, k, dtype, peak, bandwidth);
            }
        }
    }

    private static uint RandomBits(Random random) => BitConverter.SingleToUInt32Bits(random.NextSingle() - 0.5f);

    private static void Report(CpuBackend cpu, Workers workers, bool compare, CpuMemory weights, int m, int n, int k, DType dtype, double peak, double bandwidth)
    {
        using CpuMemory left = new(4L * m * k), result = new(4L * m * n);
        new Span<float>(left.Pointer, m * k).Fill(0.5f);
        Tensor a = new(left, 0, new Shape(m, k), DType.F32), c = new(result, 0, new Shape(m, n), DType.F32);
        // Few rows are a matter of memory: other weights each time.
        long bytes = (long)n * k * dtype.Size(), blasBytes = 4L * n * k;
        long sets = m < 512 ? WeightBytes / bytes : 1, blasSets = m < 512 ? WeightBytes / blasBytes : 1, next = 0, blasNext = 0;
        double flops = 2.0 * m * n * k;
        Action ours = () => cpu.MatMul(a, new Tensor(weights, next++ % sets * bytes, new Shape(n, k), dtype), c, transB: true);
        Action theirs = () => OpenBlas.MultiplyTransposed(m, n, k, (float*)left.Pointer,
            (float*)(weights.Pointer + blasNext++ % blasSets * blasBytes), (float*)result.Pointer);
        // What the memory gives changes with the neighbours of the machine: read as much in turn.
        double share = double.NaN;
        if (m == 1)
        {
            long read = 0;
            (_, _, share) = Timing.Pairs(ours, () => Peak.Read(workers, weights.Pointer + read++ % sets * bytes, bytes), 31);
        }

        (double seconds, double other, double ratio) = compare ? Timing.Pairs(ours, theirs) : (Timing.Median(ours), double.NaN, double.NaN);
        Console.WriteLine(
            $"{$"{m}, {n}, {k}",-18}{dtype,-9}{flops / seconds / 1e9,9:f1}{flops / other / 1e9,10:f1}{ratio,8:f3}"
            + $"{flops / seconds / peak,9:f3}{bytes / seconds / 1e9,8:f1}{(m == 1 ? share : bytes / seconds / bandwidth),9:f3}");
    }
}
