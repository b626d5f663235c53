using System;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Compute.Tests.Cpu;

/// <summary>
/// Outputs that are too large for the caches and well aligned are written by other instructions than the small, odd ones of the op fixtures.
/// </summary>
[TestFixture]
[Category("Ops")]
internal sealed class StreamedStoreTests
{
    private const int Count = (32 << 20) / sizeof(float) + 37;

    [Test]
    public void Large_outputs_get_every_element_and_nothing_more()
    {
        using CpuBackend backend = new(2);
        using Arena arena = new(backend, 3L * (Count + 128) * sizeof(float));
        Tensor a = arena.Allocate(new Shape(Count)), b = arena.Allocate(new Shape(Count)), room = arena.Allocate(new Shape(Count + 64));
        Tensor y = room.Slice(0, Count);
        Span<float> from = a.AsSpan<float>(), other = b.AsSpan<float>(), whole = room.AsSpan<float>();
        for (int i = 0; i < Count; i++)
        {
            from[i] = i % 1021;
            other[i] = i % 17;
        }

        whole.Fill(-1);
        backend.Scale(a, 2, y);
        for (int i = 0; i < Count; i++)
        {
            if (whole[i] != 2 * (i % 1021)) Assert.Fail($"Scale: element {i} is {whole[i]}");
        }

        backend.Add(a, b, y);
        for (int i = 0; i < Count; i++)
        {
            if (whole[i] != i % 1021 + i % 17) Assert.Fail($"Add: element {i} is {whole[i]}");
        }

        Assert.That(whole[Count..].ContainsAnyExcept(-1f), Is.False, "written behind the end");
    }
}
