using RetrievalEngine.Compute;

namespace RetrievalEngine.TestKit;

/// <summary>Matrix products and linear maps with adapters in double precision.</summary>
public static class NaiveProduct
{
    /// <summary>op(a) [m, k] · op(b) [k, n]; a is [k, m] with <paramref name="transA"/>, b is [n, k] with <paramref name="transB"/>.</summary>
    public static double[] Multiply(double[] a, double[] b, int m, int n, int k, bool transA = false, bool transB = false)
    {
        double[] c = new double[m * n];
        for (int i = 0; i < m; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double sum = 0;
                for (int p = 0; p < k; p++) sum += a[transA ? p * m + i : i * k + p] * b[transB ? j * k + p : p * n + j];
                c[i * n + j] = sum;
            }
        }

        return c;
    }

    /// <summary>x with the dropped elements 0 and the others multiplied by 1 / (1 - p); bit by bit as <see cref="Dropout"/> says.</summary>
    public static double[] Drop(double[] x, Dropout dropout)
    {
        double[] y = new double[x.Length];
        for (int i = 0; i < y.Length; i++)
        {
            ulong z = dropout.Seed + (ulong)i * 0x9E3779B97F4A7C15UL;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
            z ^= z >> 31;
            y[i] = z >> 32 < (ulong)(dropout.Probability * 4294967296.0) ? 0 : x[i] / (1 - dropout.Probability);
        }

        return y;
    }

    /// <summary>destination += factor · source.</summary>
    public static void Add(double[] destination, double[] source, double factor = 1)
    {
        for (int i = 0; i < destination.Length; i++) destination[i] += factor * source[i];
    }
}
