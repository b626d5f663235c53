using System;
using System.Collections.Generic;
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
