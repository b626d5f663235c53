using System;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Compute.Tests;

[TestFixture]
internal sealed class TensorTests
{
    [Test]
    public void Views_see_the_same_bytes()
    {
        using CpuMemory memory = new(64);
        Tensor all = new(memory, 16, new Shape(12), DType.I32);
        for (int i = 0; i < 12; i++) all.AsSpan<int>()[i] = 0x01010101 * i;
        Assert.That(all.View(8, new Shape(2, 2), DType.I32).AsSpan<int>().ToArray(), Is.EqualTo(all.AsSpan<int>()[2..6].ToArray()));
        Assert.That(all.View(44, new Shape(4), DType.I8).AsSpan<sbyte>().ToArray(), Is.EqualTo(Enumerable.Repeat((sbyte)11, 4)));
        Assert.That(all.View(48, new Shape(0), DType.I8).Count, Is.Zero);
        Assert.That(all.Slice(3, 2).View(4, new Shape(1), DType.I32).AsSpan<int>()[0], Is.EqualTo(0x04040404));
        Assert.That(all.Reshape(3, 4).Slice(1, 1).AsSpan<int>()[3], Is.EqualTo(0x07070707));
    }

    [Test]
    public void What_does_not_lie_inside_is_refused()
    {
        using CpuMemory memory = new(64);
        Tensor some = new(memory, 16, new Shape(4), DType.I32);
        Assert.That(() => some.View(0, new Shape(5), DType.I32), Throws.ArgumentException.With.Message.EqualTo("I32 [5] from byte 0 on does not fit into I32 [4]"));
        Assert.That(() => some.View(16, new Shape(1), DType.I8), Throws.ArgumentException);
        Assert.That(() => some.View(-4, new Shape(1), DType.I32), Throws.ArgumentException);
        Assert.That(() => some.View(17, new Shape(0), DType.I8), Throws.ArgumentException);
        Assert.That(() => some.Slice(3, 2), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => some.Reshape(5), Throws.ArgumentException);
        Assert.That(() => new Tensor(memory, 52, new Shape(4), DType.I32), Throws.ArgumentException);
    }
}
