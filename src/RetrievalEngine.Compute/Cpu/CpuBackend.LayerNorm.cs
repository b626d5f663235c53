using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.LayerNormForward"/>
    public void LayerNormForward(Tensor x, Tensor residual, Tensor weight, Tensor bias, float eps, Tensor sum, Tensor y, Tensor mean, Tensor rstd)
    {
        (long rows, long width) = OpChecks.LayerNormForward(x, residual, weight, bias, sum, y, mean, rstd);
        const string Op = nameof(LayerNormForward);
        int tasks = Tasks(rows, width * (residual.IsEmpty ? 8 : 16));
        _workers.Run(
            new LayerNormForwardJob(Floats(Op, x), Floats(Op, residual), Floats(Op, weight), Floats(Op, bias), eps, Floats(Op, sum), Floats(Op, y),
                Floats(Op, mean), Floats(Op, rstd), rows, width, tasks),
            tasks);
    }

    /// <inheritdoc cref="IBackend.LayerNormBackward"/>
    public void LayerNormBackward(Tensor dy, Tensor x, Tensor weight, Tensor mean, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight,
        Tensor dbias)
    {
        (long rows, long width) = OpChecks.LayerNormBackward(dy, x, weight, mean, rstd, dx, dweight, dbias);
        const string Op = nameof(LayerNormBackward);
        int blocks = NormBlocks(rows);
        long partialBytes = blocks * width * sizeof(float);
        using Scratch.Loan weightPartials = _scratch.Rent(dweight.IsEmpty ? 0 : partialBytes),
            biasPartials = _scratch.Rent(dbias.IsEmpty ? 0 : partialBytes);
        float* dw = dweight.IsEmpty ? null : (float*)weightPartials.Pointer, db = dbias.IsEmpty ? null : (float*)biasPartials.Pointer;
        _workers.Run(
            new LayerNormBackwardJob(Floats(Op, dy), Floats(Op, x), Floats(Op, weight), Floats(Op, mean), Floats(Op, rstd), Floats(Op, dx),
                accumulate, dw, db, rows, width, blocks),
            blocks);
        if (dw != null) AddPartials(dw, blocks, width, Floats(Op, dweight));
        if (db != null) AddPartials(db, blocks, width, Floats(Op, dbias));
    }

    private readonly struct LayerNormForwardJob(
        float* x, float* residual, float* weight, float* bias, float eps, float* sum, float* y, float* mean, float* rstd, long rows, long width,
        int tasks) : IJob
    {
        public void Run(int task)
        {
            (long row, long end) = Range(rows, task, tasks);
            for (; row < end; row++)
            {
                float* from = x + row * width, to = y + row * width;
                if (residual != null)
                {
                    MapRow(default(Sum), from, residual + row * width, sum + row * width, width);
                    from = sum + row * width;
                }

                float center = VectorMath.Sum(from, width) / width;
                // In a second pass: Σx² - (Σx)²/n cancels where the mean is large.
                float scale = 1 / MathF.Sqrt(VectorMath.SumOfSquaresAround(from, center, width) / width + eps);
                mean[row] = center;
                rstd[row] = scale;
                for (long i = 0; i < width; i += VectorMath.Width)
                {
                    int rest = (int)Math.Min(VectorMath.Width, width - i);
                    Vector512<float> value = (VectorMath.Load(from + i, rest) - Vector512.Create(center)) * scale * VectorMath.Load(weight + i, rest);
                    if (bias != null) value += VectorMath.Load(bias + i, rest);
                    VectorMath.Store(value, to + i, rest);
                }
            }
        }
    }

    // With g = dy · w and z = (x - mean) rstd: dx = rstd (g - mean(g) - z mean(g z)).
    private readonly struct LayerNormBackwardJob(
        float* dy, float* x, float* weight, float* mean, float* rstd, float* dx, bool accumulate, float* weightPartials, float* biasPartials,
        long rows, long width, int blocks) : IJob
    {
        public void Run(int block)
        {
            float* dweight = weightPartials == null ? null : weightPartials + block * width,
                dbias = biasPartials == null ? null : biasPartials + block * width;
            if (dweight != null) new Span<float>(dweight, (int)width).Clear();
            if (dbias != null) new Span<float>(dbias, (int)width).Clear();
            (long row, long end) = Range(rows, block, blocks);
            for (; row < end; row++) Row(dy + row * width, x + row * width, dx + row * width, mean[row], rstd[row], dweight, dbias);
        }

        private void Row(float* gradient, float* at, float* destination, float center, float scale, float* dweight, float* dbias)
        {
            Vector512<float> sum = default, dot = default;
            for (long i = 0; i < width; i += VectorMath.Width)
            {
                int rest = (int)Math.Min(VectorMath.Width, width - i);
                Vector512<float> d = VectorMath.Load(gradient + i, rest), product = d * Normalised(at + i, rest, center, scale),
                    w = VectorMath.Load(weight + i, rest);
                sum += d * w;
                dot += product * w;
                if (dweight != null) VectorMath.Store(VectorMath.Load(dweight + i, rest) + product, dweight + i, rest);
                if (dbias != null) VectorMath.Store(VectorMath.Load(dbias + i, rest) + d, dbias + i, rest);
            }

            Vector512<float> sumMean = Vector512.Create(Vector512.Sum(sum) / width), dotMean = Vector512.Create(Vector512.Sum(dot) / width);
            for (long i = 0; i < width; i += VectorMath.Width)
            {
                int rest = (int)Math.Min(VectorMath.Width, width - i);
                Vector512<float> g = VectorMath.Load(gradient + i, rest) * VectorMath.Load(weight + i, rest);
                Vector512<float> value = (g - sumMean - Normalised(at + i, rest, center, scale) * dotMean) * scale;
                if (accumulate) value += VectorMath.Load(destination + i, rest);
                VectorMath.Store(value, destination + i, rest);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector512<float> Normalised(float* x, int rest, float center, float scale) =>
            (VectorMath.Load(x, rest) - Vector512.Create(center)) * scale;
    }
}
