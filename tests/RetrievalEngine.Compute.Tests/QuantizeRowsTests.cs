using System;
using System.Collections.Generic;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests;

[TestFixtureSource(typeof(Backends), nameof(Backends.WithoutActivations))]
[Category("Ops")]
internal sealed class QuantizeRowsTests(TestBackend backend)
{
    private static IEnumerable<(int Rows, int Width)> Cases()
    {
        foreach (int width in Sizes.VectorOrNone) yield return (3, width);
        foreach (int rows in (int[])[0, 1, 2, 65, 1000]) yield return (rows, 20);
    }

    [TestCaseSource(nameof(Cases))]
    public void Agrees_with_the_definition((int Rows, int Width) c)
    {
        (int rows, int width) = c;
        double[] x = new RandomTensors(rows + width).Normal(rows * width);
        if (rows > 1) Array.Clear(x, width, width);
        float[] scales = new float[rows];
        sbyte[] expected = new sbyte[rows * width];
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < width; j++) scales[i] = MathF.Max(scales[i], MathF.Abs((float)x[i * width + j]));
            scales[i] /= 127;
            for (int j = 0; j < width && scales[i] > 0; j++) expected[i * width + j] = (sbyte)MathF.Round((float)x[i * width + j] / scales[i]);
        }

        new OpCall(backend).F32("x", x, rows, width).OutputI8("q", expected, rows, width)
            .OutputF32("scales", [.. scales.Select(s => (double)s)], 0, rows)
            .Check((device, t) => device.QuantizeRows(t["x"], t["q"], t["scales"]));
    }
}
