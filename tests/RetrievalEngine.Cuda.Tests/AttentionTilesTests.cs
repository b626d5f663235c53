using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>How attention is cut; what it computes is tested by the op fixtures.</summary>
[TestFixture]
[Category("Ops")]
internal sealed class AttentionTilesTests
{
    private static IEnumerable<(DType Type, int HeadDim)> All()
    {
        foreach (DType type in (DType[])[DType.F32, DType.F16, DType.BF16])
            foreach (int headDim in (int[])[32, 64, 96, 128, 256]) yield return (type, headDim);
    }

    [TestCaseSource(nameof(All))]
    public void Fit_into_the_shared_memory_of_every_GPU((DType Type, int HeadDim) c)
    {
        // Of sm_86 and sm_89, which have the least.
        const int Smallest = 99 << 10;
        AttentionTiles tiles = AttentionTiles.Of(c.Type, c.HeadDim);
        Assert.That(tiles.HeadDim, Is.GreaterThanOrEqualTo(c.HeadDim));
        Assert.That(tiles.ForwardSharedBytes(c.Type), Is.LessThanOrEqualTo(Smallest));
        Assert.That(tiles.SharedBytes(c.Type, rowsAreKeys: true, biasGradient: false), Is.LessThanOrEqualTo(Smallest));
        Assert.That(tiles.SharedBytes(c.Type, rowsAreKeys: false, biasGradient: c.HeadDim <= 128), Is.LessThanOrEqualTo(Smallest));
        Assert.That(Math.Max(tiles.ForwardRows, tiles.Rows), Is.LessThanOrEqualTo(AttentionTiles.LargestBlock));
    }

    [Test]
    public void Every_row_is_in_the_order_once_and_the_longest_come_first([Values(-1, 0, 70)] int before, [Values(-1, 0, 30)] int after)
    {
        const int Rows = 64;
        int[] lengths = [100, 0, 1, 64, 65, 700, 63, 128, 5], offsets = new int[lengths.Length + 1];
        for (int b = 0; b < lengths.Length; b++) offsets[b + 1] = offsets[b] + lengths[b];
        List<(int Sequence, int Block)> seen = [];
        int least = int.MaxValue;
        foreach (int slot in AttentionOrder.Of(offsets, Rows, before, after))
        {
            // As find_rows has it: sequence b has the slots from offsets[b] / Rows + b on.
            int b = Enumerable.Range(0, lengths.Length).Last(i => offsets[i] / Rows + i <= slot), block = slot - (offsets[b] / Rows) - b;
            int first = block * Rows, end = Math.Min(first + Rows, lengths[b]);
            Assert.That(first, Is.LessThan(lengths[b]), $"sequence {b}");
            seen.Add((b, block));
            int work = Enumerable.Range(0, lengths[b]).Count(column => Enumerable.Range(first, end - first)
                .Any(row => (before < 0 || column >= row - before) && (after < 0 || column <= row + after)));
            Assert.That(work, Is.LessThanOrEqualTo(least), $"sequence {b}, block {block}");
            least = work;
        }

        Assert.That(AttentionOrder.Of([0, 64 * (AttentionOrder.Most + 1)], Rows, before, after), Is.Empty, "more than a launch has room for");
        Assert.That(seen, Is.Unique);
        Assert.That(seen, Has.Count.EqualTo(lengths.Sum(length => (length + Rows - 1) / Rows)));
    }

    [TestCase(-1, -1)]
    [TestCase(-1, 0)]
    [TestCase(40, 9)]
    public void The_order_is_a_matter_of_speed_alone(int left, int right)
    {
        if (CudaLibrary.Missing is { } reason) CiGate.SkipOrFail(reason);
        Assert.That(CudaBackend.TryCreate(0, DType.BF16, out CudaBackend? backend, out string error), error);
        using CudaBackend device = backend!;
        byte[] first = Run([300, 0, 17, 129], ordered: false);
        Assert.That(Run([300, 0, 17, 129], ordered: true).AsSpan().SequenceEqual(first), "in order");
        // Other sequences of as many tokens: the kept lists are of no use now.
        byte[] second = Run([17, 129, 300, 0], ordered: false);
        Assert.That(Run([17, 129, 300, 0], ordered: true).AsSpan().SequenceEqual(second), "other sequences");
        Assert.That(Run([300, 0, 17, 129], ordered: true).AsSpan().SequenceEqual(first), "the first again");

        byte[] Run(int[] lengths, bool ordered)
        {
            const int Heads = 2, KeyHeads = 1, HeadDim = 32;
            int tokens = lengths.Sum();
            int[] offsets = [0, .. lengths.Select((_, b) => lengths.Take(b + 1).Sum())];
            RandomTensors random = new(3);
            using GuardedTensors t = new(device, 16);
            foreach ((string name, int heads) in new[] { ("q", Heads), ("k", KeyHeads), ("v", KeyHeads), ("do", Heads) })
                t.Add(name, new Shape(tokens, heads, HeadDim), DType.BF16, Storage.Pack(random.Normal(tokens * heads * HeadDim, dtype: DType.BF16), DType.BF16));
            foreach ((string name, int heads) in new[] { ("o", Heads), ("dq", Heads), ("dk", KeyHeads), ("dv", KeyHeads) })
                t.Add(name, new Shape(tokens, heads, HeadDim), DType.BF16, Enumerable.Repeat((byte)0xFF, 2 * tokens * heads * HeadDim).ToArray());
            t.Add("lse", new Shape(Heads, tokens), DType.F32, new byte[sizeof(float) * Heads * tokens]);
            t.Add("bias", new Shape(32, Heads), DType.F32, Storage.Pack(random.Normal(32 * Heads), DType.F32));
            t.Add("dbias", new Shape(32, Heads), DType.F32, new byte[sizeof(float) * 32 * Heads]);
            t.Add("cuSeqLens", new Shape(offsets.Length), DType.I32, MemoryMarshal.AsBytes(offsets.AsSpan()).ToArray());
            AttentionOptions options = new(0.2f, WindowLeft: left, WindowRight: right);
            ReadOnlySpan<int> known = ordered ? offsets : default;
            device.AttentionForward(t["q"], t["k"], t["v"], t["cuSeqLens"], 300, options, t["bias"], t["o"], t["lse"], known);
            device.AttentionBackward(t["do"], t["q"], t["k"], t["v"], t["o"], t["lse"], t["cuSeqLens"], 300, options, t["bias"], t["dq"], t["dk"], t["dv"],
                t["dbias"], known);
            t.CheckGuards();
            return [.. t.Download("o"), .. t.Download("lse"), .. t.Download("dq"), .. t.Download("dk"), .. t.Download("dv"), .. t.Download("dbias")];
        }
    }

    [Test]
    public void Fragments_are_read_without_bank_conflicts([Values(32, 64, 96, 128, 256)] int headDim)
    {
        const int Tokens = 40;
        if (CudaLibrary.Missing is { } reason) Assert.Ignore(reason);
        if (!CudaLibrary.IsEmulated) Assert.Ignore("only the emulated driver counts them");
        Assert.That(CudaBackend.TryCreate(0, DType.BF16, out CudaBackend? backend, out string error), error);
        using CudaBackend _ = backend!;
        using GuardedTensors t = new(backend!, 16);
        foreach (string name in (string[])["q", "k", "v", "o", "do", "dq", "dk", "dv"])
            t.Add(name, new Shape(Tokens, 1, headDim), DType.BF16, new byte[2 * Tokens * headDim]);
        t.Add("lse", new Shape(1, Tokens), DType.F32, new byte[sizeof(float) * Tokens]);
        t.Add("cuSeqLens", new Shape(2), DType.I32, [0, 0, 0, 0, Tokens, 0, 0, 0]);
        AttentionOptions options = new(1, WindowRight: 0);
        backend!.AttentionForward(t["q"], t["k"], t["v"], t["cuSeqLens"], Tokens, options, default, t["o"], t["lse"]);
        backend.AttentionBackward(
            t["do"], t["q"], t["k"], t["v"], t["o"], t["lse"], t["cuSeqLens"], Tokens, options, default, t["dq"], t["dk"], t["dv"], default);
        backend.Synchronize();
        foreach (string kernel in (string[])["forward", "backward_keys", "backward_queries"])
        {
            KernelCounters counters = KernelCounters.Of($"attention_{kernel}_bf16_{headDim}");
            Assert.That(counters.MatrixPhases, Is.Positive, kernel);
            Assert.That(counters.MatrixConflicts, Is.Zero, kernel);
        }
    }
}
