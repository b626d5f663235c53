using System;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Search;

namespace RetrievalEngine.Tests.Search;

internal sealed class ScanCodesTests
{
    [TestCase(1, true)]
    [TestCase(15, true)]
    [TestCase(16, true)]
    [TestCase(17, true)]
    [TestCase(768, true)]
    [TestCase(40_000, false)]
    public void Scale_GivesFixedPoint_WhereThatIsWithinTheBound(int dimensions, bool isFixed)
    {
        Random random = new(dimensions);
        float[] query = new float[dimensions], scaled = new float[dimensions];
        foreach (ref float x in query.AsSpan()) x = 8 * random.NextSingle() - 4;
        double length = Math.Sqrt(UnitLength.SquaredNorm(query)), squares = 0;
        ScanCodes.Scale(query, length, scaled);
        for (int i = 0; i < dimensions; i++) squares += Math.Pow(scaled[i] - query[i] / length, 2);
        Assert.That(Math.Sqrt(squares), Is.LessThanOrEqualTo(1.0 / (1 << 12)), "the room that a row's bound has");
        Assert.That(FixedPoint.Is(scaled, out _), Is.EqualTo(isFixed));
    }
}
