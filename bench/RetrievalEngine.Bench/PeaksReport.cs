using System;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Bench;

/// <summary><c>peaks</c>: the limits of the machine alone.</summary>
internal static unsafe class PeaksReport
{
    public static void Run()
    {
        using CpuMemory memory = new(512L << 20);
        new Span<byte>(memory.Pointer, (int)memory.Length).Fill(1);
        for (int threads = 1; threads <= Environment.ProcessorCount; threads++)
        {
            double peak = Peak.Fma(threads), bandwidth = Peak.Read(threads, memory.Pointer, memory.Length);
            Console.WriteLine($"{threads} threads: {peak / 1e9:f0} GFLOP/s of fused multiply-adds, {bandwidth / 1e9:f1} GB/s read");
        }
    }
}
