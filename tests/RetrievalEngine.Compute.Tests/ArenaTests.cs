using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Compute.Tests;

[TestFixture]
internal sealed class ArenaTests
{
    [Test]
    public void After_one_step_there_is_one_block_of_what_a_step_needs()
    {
        using CpuBackend backend = new(1);
        using Arena arena = new(backend, initialBytes: 1000);
        for (int step = 0; step < 3; step++)
        {
            arena.Reset();
            arena.Allocate(new Shape(700));
            ArenaMark mark = arena.Mark();
            arena.Allocate(new Shape(5000));
            arena.Release(mark);
            arena.Allocate(new Shape(10), DType.BF16);
            arena.Allocate(new Shape(1000));
            if (step > 0) Assert.That(arena.Capacity, Is.EqualTo(2816 + 20_224));
        }
    }

    [Test]
    public void What_is_released_is_used_again()
    {
        using CpuBackend backend = new(1);
        using Arena arena = new(backend);
        Tensor kept = arena.Allocate(new Shape(3));
        ArenaMark mark = arena.Mark();
        Tensor first = arena.Allocate(new Shape(3));
        arena.Release(mark);
        Tensor second = arena.Allocate(new Shape(3));
        Assert.That((second.Memory, second.Offset), Is.EqualTo((first.Memory, first.Offset)));
        Assert.That(second.Offset, Is.EqualTo(kept.Offset + 256));
    }
}
