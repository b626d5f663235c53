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
        Tensor result = arena.Allocate(new Shape(1));
        backend.Fill(x, 1);
        backend.Fill(weight, 1);
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
            backend.SumOfSquares(x, result, accumulate: false);
        }
    }
}
