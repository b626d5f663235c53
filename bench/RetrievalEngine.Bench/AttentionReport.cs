using System;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Bench;

/// <summary>
/// <c>attention [threads]</c>: forward and backward at the shapes of training, encoding and long documents, in flops of the pairs that see each other
/// (4 D a pair forward, 10 D backward) and as a share of the peak measured beside each row. Shortest of several runs: other users of the machine only
/// add time.
/// </summary>
internal static class AttentionReport
{
    private const double SecondsPerShape = 1;

    private static readonly Batch[] s_batches =
    [
        new("training step", 288, 64, 8, 8, 64, Causal: true),
        new("the same, in cache", 2, 64, 8, 8, 64, Causal: true),
        new("MiniLM", 32, 128, 12, 12, 32),
        new("BERT-base, one text", 1, 16, 12, 12, 64),
        new("BERT-base", 8, 512, 12, 12, 64),
        new("Qwen, grouped keys", 2, 512, 14, 2, 64, Causal: true),
        new("Llama", 1, 1024, 8, 8, 128, Causal: true),
        new("Gemma", 1, 512, 8, 1, 256, Causal: true),
    ];

    public static void Run(ReadOnlySpan<string> arguments)
    {
        int threads = arguments.Length > 0 ? int.Parse(arguments[0], CultureInfo.InvariantCulture) : Environment.ProcessorCount;
        using CpuBackend cpu = new(threads);
        Console.WriteLine($"{cpu.Name}\n");
        Console.WriteLine(
            $"{"",-22}{"texts x tokens, heads x D",-28}{"peak GFLOP/s",13}{"forward ms",12}{"GFLOP/s",9}{"of peak",9}"
            + $"{"backward ms",13}{"GFLOP/s",9}{"of peak",9}");
        foreach (Batch batch in s_batches) Report(cpu, batch);
    }

    private static void Report(CpuBackend cpu, Batch batch)
    {
        using Arena arena = new(cpu, 1 << 24);
        long tokens = (long)batch.Texts * batch.Tokens;
        Shape query = new(tokens, batch.Heads, batch.HeadDim), key = new(tokens, batch.KvHeads, batch.HeadDim);
        Random random = new(1);
        Tensor q = Filled(arena, query, random), k = Filled(arena, key, random), v = Filled(arena, key, random), dO = Filled(arena, query, random);
        Tensor o = Filled(arena, query, random), lse = arena.Allocate(new Shape(batch.Heads, tokens));
        Tensor dq = Filled(arena, query, random), dk = Filled(arena, key, random), dv = Filled(arena, key, random);
        int[] lengths = new int[batch.Texts + 1];
        for (int i = 0; i < lengths.Length; i++) lengths[i] = i * batch.Tokens;
        Tensor cuSeqLens = arena.Allocate(new Shape(lengths.Length), DType.I32);
        cpu.Upload(MemoryMarshal.AsBytes(lengths.AsSpan()), cuSeqLens);
        AttentionOptions options = new(1 / MathF.Sqrt(batch.HeadDim), WindowRight: batch.Causal ? 0 : -1);

        double peak = Peak.Fma(cpu.Threads);
        double forward = Shortest(() => cpu.AttentionForward(q, k, v, cuSeqLens, batch.Tokens, options, default, o, lse));
        double backward = Shortest(() => cpu.AttentionBackward(dO, q, k, v, o, lse, cuSeqLens, batch.Tokens, options, default, dq, dk, dv, default));
        double pairs = (double)tokens * batch.Heads * (batch.Causal ? (batch.Tokens + 1) / 2.0 : batch.Tokens), flops = 4 * pairs * batch.HeadDim;
        Console.WriteLine(
            $"{batch.Name,-22}{$"{batch.Texts} x {batch.Tokens}, {batch.Heads}/{batch.KvHeads} x {batch.HeadDim}",-28}{peak / 1e9,13:f0}"
            + $"{forward * 1e3,12:f3}{flops / forward / 1e9,9:f1}{flops / forward / peak,9:p0}"
            + $"{backward * 1e3,13:f3}{2.5 * flops / backward / 1e9,9:f1}{2.5 * flops / backward / peak,9:p0}");
    }

    private static double Shortest(Action action)
    {
        action();
        double best = double.PositiveInfinity;
        long begin = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(begin).TotalSeconds < SecondsPerShape)
        {
            long start = Stopwatch.GetTimestamp();
            action();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return best;
    }

    private static Tensor Filled(Arena arena, Shape shape, Random random)
    {
        Tensor tensor = arena.Allocate(shape);
        foreach (ref float value in tensor.AsSpan<float>()) value = 3 * random.NextSingle() - 1.5f;
        return tensor;
    }

    private sealed record Batch(string Name, int Texts, int Tokens, int Heads, int KvHeads, int HeadDim, bool Causal = false);
}
