using System;

namespace RetrievalEngine.TestKit;

/// <summary>Root-mean-square, layer and L2 normalisation of rows in double precision.</summary>
public static class NaiveNorm
{
    /// <summary>y = x / √(mean(x²) + eps) · (weight + offset), and 1 / √….</summary>
    public static (double[] Y, double[] Rstd) RmsForward(double[] x, double[] weight, double offset, double eps)
    {
        int width = weight.Length, rows = x.Length / width;
        double[] y = new double[x.Length], rstd = new double[rows];
        for (int t = 0; t < rows; t++)
        {
            double squares = 0;
            for (int i = 0; i < width; i++) squares += x[t * width + i] * x[t * width + i];
            rstd[t] = 1 / Math.Sqrt(squares / width + eps);
            for (int i = 0; i < width; i++) y[t * width + i] = x[t * width + i] * rstd[t] * (weight[i] + offset);
        }

        return (y, rstd);
    }

    /// <summary>Gradients of Σ dy · y.</summary>
    public static (double[] Dx, double[] Dweight) RmsBackward(double[] dy, double[] x, double[] weight, double offset, double[] rstd)
    {
        int width = weight.Length;
        double[] dx = new double[x.Length], dweight = new double[width];
        for (int t = 0; t < rstd.Length; t++)
        {
            double dot = 0;
            for (int i = 0; i < width; i++)
            {
                int at = t * width + i;
                dot += dy[at] * (weight[i] + offset) * x[at];
                dweight[i] += dy[at] * x[at] * rstd[t];
            }

            for (int i = 0; i < width; i++)
            {
                int at = t * width + i;
                dx[at] = rstd[t] * (dy[at] * (weight[i] + offset) - x[at] * rstd[t] * rstd[t] * dot / width);
            }
        }

        return (dx, dweight);
    }

    /// <summary>y = (x - mean) · rstd · weight + bias; <paramref name="bias"/> may be empty.</summary>
    public static (double[] Y, double[] Mean, double[] Rstd) LayerForward(double[] x, double[] weight, double[] bias, double eps)
    {
        int width = weight.Length, rows = x.Length / width;
        double[] y = new double[x.Length], mean = new double[rows], rstd = new double[rows];
        for (int t = 0; t < rows; t++)
        {
            double variance = 0;
            for (int i = 0; i < width; i++) mean[t] += x[t * width + i] / width;
            for (int i = 0; i < width; i++) variance += Math.Pow(x[t * width + i] - mean[t], 2) / width;
            rstd[t] = 1 / Math.Sqrt(variance + eps);
            for (int i = 0; i < width; i++) y[t * width + i] = (x[t * width + i] - mean[t]) * rstd[t] * weight[i] + (bias.Length == 0 ? 0 : bias[i]);
        }

        return (y, mean, rstd);
    }

    /// <summary>Gradients of Σ dy · y.</summary>
    public static (double[] Dx, double[] Dweight, double[] Dbias) LayerBackward(double[] dy, double[] x, double[] weight, double[] mean,
        double[] rstd)
    {
        int width = weight.Length;
        double[] dx = new double[x.Length], dweight = new double[width], dbias = new double[width];
        for (int t = 0; t < rstd.Length; t++)
        {
            double sum = 0, dot = 0;
            for (int i = 0; i < width; i++)
            {
                int at = t * width + i;
                double z = (x[at] - mean[t]) * rstd[t];
                sum += dy[at] * weight[i];
                dot += dy[at] * weight[i] * z;
                dweight[i] += dy[at] * z;
                dbias[i] += dy[at];
            }

            for (int i = 0; i < width; i++)
            {
                int at = t * width + i;
                dx[at] = rstd[t] * (dy[at] * weight[i] - sum / width - (x[at] - mean[t]) * rstd[t] * dot / width);
            }
        }

        return (dx, dweight, dbias);
    }

    /// <summary>y = x / max(‖x‖, 1e-12), and ‖x‖.</summary>
    public static (double[] Y, double[] Norm) L2Forward(double[] x, int width)
    {
        double[] y = new double[x.Length], norm = new double[x.Length / width];
        for (int t = 0; t < norm.Length; t++)
        {
            for (int i = 0; i < width; i++) norm[t] += x[t * width + i] * x[t * width + i];
            norm[t] = Math.Sqrt(norm[t]);
            for (int i = 0; i < width; i++) y[t * width + i] = x[t * width + i] / Math.Max(norm[t], 1e-12);
        }

        return (y, norm);
    }

    /// <summary>dx = (dy - y (y·dy)) / max(norm, 1e-12).</summary>
    public static double[] L2Backward(double[] dy, double[] y, double[] norm)
    {
        double[] dx = new double[y.Length];
        for (int t = 0; t < norm.Length; t++)
        {
            int width = y.Length / norm.Length;
            double dot = 0;
            for (int i = 0; i < width; i++) dot += dy[t * width + i] * y[t * width + i];
            for (int i = 0; i < width; i++) dx[t * width + i] = (dy[t * width + i] - y[t * width + i] * dot) / Math.Max(norm[t], 1e-12);
        }

        return dx;
    }
}
