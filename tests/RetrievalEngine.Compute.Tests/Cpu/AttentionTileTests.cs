using System;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Compute.Tests.Cpu;

[TestFixture]
internal sealed unsafe class AttentionTileTests
{
    private const int Rows = AttentionTile.Rows, Columns = AttentionTile.Columns;

    [Test]
    public void Multiplies_rows_by_panels([Values(1, 2, 5, 8)] int rows, [Range(0, 5)] int panels, [Values(0, 1, 37)] int depth, [Values] bool byColumns)
    {
        RandomTensors random = new(rows + panels);
        double[] a = random.Normal(Rows * (long)depth), b = random.Normal((long)panels * depth * Columns), before = random.Normal((long)Rows * panels * Columns);
        // What lies behind the last row of a must not be looked at: the rows of c there repeat the last one.
        for (int i = 0; i < a.Length; i++)
        {
            if ((byColumns ? i % Rows : i / depth) >= rows) a[i] = double.NaN;
        }

        foreach (bool accumulate in (bool[])[false, true])
        {
            double[] expected = new double[before.Length];
            for (int i = 0; i < expected.Length; i++)
            {
                int row = Math.Min(i / (panels * Columns), rows - 1), column = i % (panels * Columns);
                expected[i] = accumulate ? before[i] : 0;
                for (int k = 0; k < depth; k++)
                    expected[i] += a[byColumns ? k * Rows + row : row * depth + k] * b[(column / Columns * depth + k) * Columns + column % Columns];
            }

            float[] c = Array.ConvertAll(before, x => (float)x);
            fixed (float* pa = Array.ConvertAll(a, x => (float)x), pb = Array.ConvertAll(b, x => (float)x), pc = c)
            {
                AttentionTile.Multiply(
                    pa, byColumns ? 1 : depth, byColumns ? Rows : 1, rows, pb, depth * Columns, panels, depth, pc, panels * Columns, accumulate);
            }

            Agreement.Check("c", Array.ConvertAll(c, x => (double)x), expected, 1e-6);
        }
    }
}
