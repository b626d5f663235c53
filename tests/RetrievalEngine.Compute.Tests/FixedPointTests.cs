using System;
using System.Linq;
using NUnit.Framework;

namespace RetrievalEngine.Compute.Tests;

internal sealed class FixedPointTests
{
    [Test]
    public void Rounds_to_the_nearest_multiple_of_a_power_of_two([Values(1, 2, 33, 768, 4096)] int length, [Values(1e-6f, 1, 3e4f)] float size)
    {
        Random random = new(length);
        float[] vector = [.. Enumerable.Range(0, length).Select(_ => size * (random.NextSingle() - 0.5f))], rounded = [.. vector];
        Assert.That(FixedPoint.TryRound(rounded), Is.True);
        Assert.That(FixedPoint.Is(rounded, out float unit), Is.True);
        Assert.That(unit, Is.EqualTo((float)Math.ScaleB(1, Math.ILogB(unit))));
        double most = rounded.Max(x => Math.Abs(x / unit)), sum = rounded.Sum(x => (double)Math.Abs(x / unit));
        Assert.That(most, Is.LessThanOrEqualTo(32767));
        Assert.That(sum, Is.LessThan(1 << 24));
        // A smaller unit would be too small; the larger numbers lose their last bit at most.
        Assert.That(most > 16383 || sum > (1 << 23) - length, Is.True, $"{most}, {sum}");
        for (int i = 0; i < length; i++) Assert.That(rounded[i], Is.EqualTo(vector[i]).Within(most > 32766 ? unit : unit / 2));
        float[] again = [.. rounded];
        Assert.That(FixedPoint.TryRound(again), Is.True);
        Assert.That(again, Is.EqualTo(rounded));
    }

    [Test]
    public void Other_vectors_are_left_alone()
    {
        float[] zeros = new float[5];
        Assert.That(FixedPoint.TryRound(zeros) && FixedPoint.Is(zeros, out _), Is.True);
        foreach (float odd in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity, float.MaxValue, float.Epsilon])
        {
            float[] vector = [odd, 0];
            Assert.That(FixedPoint.TryRound(vector), Is.False, $"{odd}");
            Assert.That(vector[0], Is.EqualTo(odd));
            Assert.That(FixedPoint.Is(vector, out _), Is.False, $"{odd}");
        }

        Assert.That(FixedPoint.Is([1, 1 / 65536f], out _), Is.False, "the smaller one has no place");
        Assert.That(FixedPoint.Is([1, 1 / 16384f], out _), Is.True);
    }
}
