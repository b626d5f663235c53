using System;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Compute.Tests.Cpu;

/// <summary>An op that is called thousands of times a second leaves nothing for the garbage collector.</summary>
[TestFixture]
internal sealed class AllocationTests
{
    [Test]
    public void Ops_allocate_nothing_once_warm()
    {
        using CpuBackend backend = new(2);
        using Arena arena = new(backend);
        Tensor x = arena.Allocate(new Shape(512, 64)), y = arena.Allocate(new Shape(512, 64)), weight = arena.Allocate(new Shape(64));
        Tensor rstd = arena.Allocate(new Shape(512)), mean = arena.Allocate(new Shape(512)), gradient = arena.Allocate(new Shape(64));
        Tensor result = arena.Allocate(new Shape(1)), cuSeqLens = arena.Allocate(new Shape(3), DType.I32), lse = arena.Allocate(new Shape(4, 512));
        new[] { 0, 400, 512 }.CopyTo(cuSeqLens.AsSpan<int>());
        Tensor heads = x.Reshape(512, 4, 16), output = arena.Allocate(heads.Shape), dk = arena.Allocate(heads.Shape), dv = arena.Allocate(heads.Shape);
        Tensor bias = arena.Allocate(new Shape(32, 4)), dbias = arena.Allocate(bias.Shape);
        AttentionOptions options = new(0.25f, WindowRight: 0);
        backend.Fill(x, 1);
        backend.Fill(weight, 1);
        backend.Fill(bias, 0);
        backend.Fill(dbias, 0);
        Step();
        Step();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++) Step();
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);

        void Step()
        {
            backend.Add(x, x, y);
            backend.GatedActivationForward(x, y, Activation.Silu, y);
            backend.LayerNormForward(x, default, weight, default, 1e-5f, default, y, mean, rstd);
            backend.LayerNormBackward(y, x, weight, mean, rstd, y, accumulate: false, gradient, gradient);
            backend.RmsNormForward(x, default, weight, 0, 1e-5f, default, y, rstd);
            backend.RmsNormBackward(y, x, weight, 0, rstd, y, accumulate: false, gradient);
            backend.AttentionForward(heads, heads, heads, cuSeqLens, 512, options, bias, output, lse);
            backend.AttentionBackward(
                heads, heads, heads, heads, output, lse, cuSeqLens, 512, options, bias, y.Reshape(512, 4, 16), dk, dv, dbias);
            backend.SumOfSquares(x, result, accumulate: false);
        }
    }
}
