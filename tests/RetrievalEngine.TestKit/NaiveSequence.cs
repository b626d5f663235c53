using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.TestKit;

/// <summary>What depends on tokens and their places, in double precision: embeddings, rotary positions, pooling.</summary>
public static class NaiveSequence
{
    /// <summary>
    /// x [T, heads, D] with the first 2 · half elements of each head rotated, as complex numbers x[i] + j x[i + half] times cos ± j sin.
    /// </summary>
    public static double[] Rope(double[] x, int[] positions, double[] cos, double[] sin, int heads, int headDim, int half, bool inverse)
    {
        double[] y = (double[])x.Clone();
        for (int t = 0; t < positions.Length; t++)
        {
            for (int h = 0; h < heads; h++)
            {
                for (int i = 0; i < half; i++)
                {
                    int low = (t * heads + h) * headDim + i, at = positions[t] * half + i;
                    double s = inverse ? -sin[at] : sin[at];
                    y[low] = x[low] * cos[at] - x[low + half] * s;
                    y[low + half] = x[low + half] * cos[at] + x[low] * s;
                }
            }
        }

        return y;
    }

    /// <summary>scale · table[ids[t]] for each token.</summary>
    public static double[] EmbeddingForward(double[] table, int[] ids, double scale, int width)
    {
        double[] y = new double[ids.Length * width];
        for (int t = 0; t < ids.Length; t++)
        {
            for (int i = 0; i < width; i++) y[t * width + i] = scale * table[ids[t] * width + i];
        }

        return y;
    }

    /// <summary>Gradient of the table.</summary>
    public static double[] EmbeddingBackward(double[] dy, int[] ids, double scale, int rows, int width)
    {
        double[] dtable = new double[rows * width];
        for (int t = 0; t < ids.Length; t++)
        {
            for (int i = 0; i < width; i++) dtable[ids[t] * width + i] += scale * dy[t * width + i];
        }

        return dtable;
    }

    /// <summary>One row a sequence.</summary>
    public static double[] PoolForward(double[] x, int[] cuSeqLens, Pooling pooling, int width)
    {
        double[] y = new double[(cuSeqLens.Length - 1) * width];
        ForEachShare(x, cuSeqLens, pooling, width, (b, t, i, share) => y[b * width + i] += share * x[t * width + i]);
        return y;
    }

    /// <summary>Gradient of the tokens x.</summary>
    public static double[] PoolBackward(double[] dy, double[] x, int[] cuSeqLens, Pooling pooling, int width)
    {
        double[] dx = new double[x.Length];
        ForEachShare(x, cuSeqLens, pooling, width, (b, t, i, share) => dx[t * width + i] = share * dy[b * width + i]);
        return dx;
    }

    private static void ForEachShare(double[] x, int[] cuSeqLens, Pooling pooling, int width, Action<int, int, int, double> visit)
    {
        for (int b = 0; b + 1 < cuSeqLens.Length; b++)
        {
            int first = cuSeqLens[b], count = cuSeqLens[b + 1] - first;
            for (int t = 0; t < count; t++)
            {
                for (int i = 0; i < width; i++) visit(b, first + t, i, Share(t, count, pooling, Largest(x, first, count, width, i)));
            }
        }
    }

    private static int Largest(double[] x, int first, int count, int width, int element)
    {
        int largest = 0;
        for (int t = 1; t < count; t++)
        {
            if (x[(first + t) * width + element] > x[(first + largest) * width + element]) largest = t;
        }

        return largest;
    }

    private static double Share(int token, int count, Pooling pooling, int largest) => pooling switch
    {
        Pooling.Last => token == count - 1 ? 1 : 0,
        Pooling.Cls => token == 0 ? 1 : 0,
        Pooling.Mean => 1.0 / count,
        Pooling.WeightedMean => 2.0 * (token + 1) / ((double)count * (count + 1)),
        _ => token == largest ? 1 : 0,
    };
}
