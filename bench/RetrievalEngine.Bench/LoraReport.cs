using System;
using System.Linq;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Bench;

/// <summary>
/// <c>lora</c>: the linear maps of one layer of a training step (288 texts of 64 tokens, width 512, feed-forward 1408, adapters of rank 16), counted
/// by the base weights alone.
/// </summary>
internal static class LoraReport
{
    private const int M = 288 * 64, Rank = 16;

    public static void Run()
    {
        bool compare = OpenBlas.TryLoad(out string description);
        Console.WriteLine(description);
        foreach (int threads in (int[])[1, 2])
        {
            using CpuBackend cpu = new(threads);
            if (compare) OpenBlas.SetThreads(threads);
            double peak = Peak.Fma(threads);
            Console.WriteLine($"\n{cpu.Name}; peak {peak / 1e9:f0} GFLOP/s\n");
            Console.WriteLine($"{"layer",-22}{"dropout",9}{"forward",9}{"of peak",9}{"backward",10}{"of peak",9}{"OpenBLAS forward",18}{"ratio",8}");
            foreach (float dropout in (float[])[0, 0.1f])
            {
                Report(cpu, compare, "q, k, v", 512, [512, 512, 512], dropout, peak);
                Report(cpu, compare, "o", 512, [512], dropout, peak);
                Report(cpu, compare, "gate, up", 512, [1408, 1408], dropout, peak);
                Report(cpu, compare, "down", 1408, [512], dropout, peak);
            }
        }
    }

    private static unsafe void Report(CpuBackend cpu, bool compare, string name, int k, int[] outputs, float probability, double peak)
    {
        using Arena arena = new(cpu, 1 << 28);
        Random random = new(1);
        Tensor New(long rows, long columns)
        {
            Tensor tensor = arena.Allocate(new Shape(rows, columns));
            foreach (ref float value in tensor.AsSpan<float>()) value = random.NextSingle() - 0.5f;
            return tensor;
        }

        Tensor x = New(M, k), dx = New(M, k);
        Projection[] projections = [.. outputs.Select(n => new Projection(New(n, k), default, New(Rank, k), New(n, Rank), 2))];
        ProjectionGradient[] gradients = [.. outputs.Select(n => new ProjectionGradient(A: New(Rank, k), B: New(n, Rank)))];
        Tensor[] s = [.. outputs.Select(_ => New(M, Rank))], y = [.. outputs.Select(n => New(M, n))], dy = [.. outputs.Select(n => New(M, n))];
        Dropout dropout = new(probability, 1);
        Action forward = () => cpu.LoraMatMulForward(x, projections, dropout, s, y);
        Action blas = () =>
        {
            for (int i = 0; i < outputs.Length; i++)
                OpenBlas.MultiplyTransposed(M, outputs[i], k, (float*)Pointer(x), (float*)Pointer(projections[i].W), (float*)Pointer(y[i]));
        };
        double flops = 2.0 * M * k * outputs.Sum();
        (double ahead, double other, double ratio) = compare ? Timing.Pairs(forward, blas, 5) : (Timing.Median(forward, 5), double.NaN, double.NaN);
        double back = Timing.Median(() => cpu.LoraMatMulBackward(dy, x, projections, dropout, s, gradients, dx), 5);
        Console.WriteLine(
            $"{name,-22}{probability,9:f1}{flops / ahead / 1e9,9:f1}{flops / ahead / peak,9:f3}{flops / back / 1e9,10:f1}"
            + $"{flops / back / peak,9:f3}{flops / other / 1e9,18:f1}{ratio,8:f3}");
    }

    private static unsafe byte* Pointer(Tensor tensor) => ((CpuMemory)tensor.Memory!).Pointer + tensor.Offset;
}
