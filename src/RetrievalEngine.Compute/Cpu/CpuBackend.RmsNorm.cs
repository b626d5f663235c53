using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.RmsNormForward"/>
    public void RmsNormForward(Tensor x, Tensor residual, Tensor weight, float weightOffset, float eps, Tensor sum, Tensor y, Tensor rstd)
    {
        (long rows, long width) = OpChecks.RmsNormForward(x, residual, weight, sum, y, rstd);
        const string Op = nameof(RmsNormForward);
        int tasks = Tasks(rows, width * (residual.IsEmpty ? 8 : 16));
        _workers.Run(
            new RmsNormForwardJob(Floats(Op, x), Floats(Op, residual), Floats(Op, weight), weightOffset, eps, Floats(Op, sum), Floats(Op, y),
                Floats(Op, rstd), rows, width, tasks),
            tasks);
    }

    /// <inheritdoc cref="IBackend.RmsNormBackward"/>
    public void RmsNormBackward(Tensor dy, Tensor x, Tensor weight, float weightOffset, Tensor rstd, Tensor dx, bool accumulate, Tensor dweight)
    {
        (long rows, long width) = OpChecks.RmsNormBackward(dy, x, weight, rstd, dx, dweight);
        const string Op = nameof(RmsNormBackward);
        int blocks = NormBlocks(rows);
        using Scratch.Loan partials = _scratch.Rent(dweight.IsEmpty ? 0 : blocks * width * sizeof(float));
        _workers.Run(
            new RmsNormBackwardJob(Floats(Op, dy), Floats(Op, x), Floats(Op, weight), weightOffset, Floats(Op, rstd), Floats(Op, dx), accumulate,
                dweight.IsEmpty ? null : (float*)partials.Pointer, rows, width, blocks),
            blocks);
        if (!dweight.IsEmpty) AddPartials((float*)partials.Pointer, blocks, width, Floats(Op, dweight));
    }

    /// <summary>
    /// Blocks of rows of a normalisation's backward pass. Each sums its rows' part of the weight's gradient by itself, so their number must hang on
    /// the number of rows alone: then the sum has the same bits on any number of threads.
    /// </summary>
    private static int NormBlocks(long rows) => (int)Math.Clamp(rows / 64, 1, 64);

    /// <summary>destination += Σ partials [blocks, width], in the order of the blocks.</summary>
    private static void AddPartials(float* partials, int blocks, long width, float* destination)
    {
        for (int block = 1; block < blocks; block++) MapRow(default(Sum), partials, partials + block * width, partials, width);
        MapRow(default(Sum), destination, partials, destination, width);
    }

    private readonly struct RmsNormForwardJob(
        float* x, float* residual, float* weight, float weightOffset, float eps, float* sum, float* y, float* rstd, long rows, long width,
        int tasks) : IJob
    {
        public void Run(int task)
        {
            (long row, long end) = Range(rows, task, tasks);
            for (; row < end; row++)
            {
                float* from = x + row * width;
                if (residual != null)
                {
                    MapRow(default(Sum), from, residual + row * width, sum + row * width, width);
                    from = sum + row * width;
                }

                float scale = 1 / MathF.Sqrt(VectorMath.Dot(from, from, width) / width + eps);
                rstd[row] = scale;
                MapRow(new ScaleByWeight(scale, weightOffset), from, weight, y + row * width, width);
            }
        }
    }

    private readonly struct ScaleByWeight(float scale, float weightOffset) : IMap2
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> x, Vector512<float> weight) => x * scale * (weight + Vector512.Create(weightOffset));
    }

    // With g = dy · w: dx = rstd (g - x rstd² mean(g x)).
    private readonly struct RmsNormBackwardJob(
        float* dy, float* x, float* weight, float weightOffset, float* rstd, float* dx, bool accumulate, float* partials, long rows, long width,
        int blocks) : IJob
    {
        public void Run(int block)
        {
            float* dweight = partials == null ? null : partials + block * width;
            if (dweight != null) new Span<float>(dweight, (int)width).Clear();
            (long row, long end) = Range(rows, block, blocks);
            for (; row < end; row++)
            {
                float scale = rstd[row];
                float* gradient = dy + row * width, at = x + row * width;
                float dot = First(gradient, at, dweight, scale);
                Second(gradient, at, dx + row * width, scale, -scale * scale * scale * dot / width);
            }
        }

        private float First(float* gradient, float* at, float* dweight, float scale)
        {
            Vector512<float> sum = default;
            for (long i = 0; i < width; i += VectorMath.Width)
            {
                int rest = (int)Math.Min(VectorMath.Width, width - i);
                Vector512<float> xs = VectorMath.Load(at + i, rest), dys = VectorMath.Load(gradient + i, rest), product = xs * dys;
                sum += product * (VectorMath.Load(weight + i, rest) + Vector512.Create(weightOffset));
                if (dweight != null) VectorMath.Store(VectorMath.Load(dweight + i, rest) + product * scale, dweight + i, rest);
            }

            return Vector512.Sum(sum);
        }

        private void Second(float* gradient, float* at, float* destination, float scale, float factor)
        {
            for (long i = 0; i < width; i += VectorMath.Width)
            {
                int rest = (int)Math.Min(VectorMath.Width, width - i);
                Vector512<float> g = VectorMath.Load(gradient + i, rest) * (VectorMath.Load(weight + i, rest) + Vector512.Create(weightOffset));
                Vector512<float> value = g * scale + VectorMath.Load(at + i, rest) * factor;
                if (accumulate) value += VectorMath.Load(destination + i, rest);
                VectorMath.Store(value, destination + i, rest);
            }
        }
    }
}
