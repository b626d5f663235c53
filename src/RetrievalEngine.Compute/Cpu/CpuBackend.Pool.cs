using System;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.PoolForward"/>
    public void PoolForward(Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor y)
    {
        (long tokens, long sequences, long width) = OpChecks.PoolForward(x, cuSeqLens, pooling, y);
        OpChecks.CuSeqLens(nameof(PoolForward), cuSeqLens.AsSpan<int>(), tokens, int.MaxValue);
        int tasks = Tasks(sequences, width * 4 * (pooling == Pooling.Mean ? tokens / Math.Max(sequences, 1) + 1 : 2));
        _workers.Run(new PoolForwardJob(Floats(nameof(PoolForward), x), Pointer<int>(cuSeqLens), pooling, Pointer<float>(y), sequences, width, tasks),
            tasks);
    }

    /// <inheritdoc cref="IBackend.PoolBackward"/>
    public void PoolBackward(Tensor dy, Tensor cuSeqLens, Pooling pooling, Tensor dx)
    {
        (long tokens, long sequences, long width) = OpChecks.PoolBackward(dy, cuSeqLens, pooling, dx);
        OpChecks.CuSeqLens(nameof(PoolBackward), cuSeqLens.AsSpan<int>(), tokens, int.MaxValue);
        int tasks = Tasks(sequences, width * 4 * (tokens / Math.Max(sequences, 1) + 1));
        _workers.Run(new PoolBackwardJob(Pointer<float>(dy), Pointer<int>(cuSeqLens), pooling, Floats(nameof(PoolBackward), dx), sequences, width,
            tasks), tasks);
    }

    private readonly struct PoolForwardJob(float* x, int* cuSeqLens, Pooling pooling, float* y, long sequences, long width, int tasks) : IJob
    {
        public void Run(int task)
        {
            (long sequence, long end) = Range(sequences, task, tasks);
            for (; sequence < end; sequence++)
            {
                int first = cuSeqLens[sequence], last = cuSeqLens[sequence + 1] - 1;
                float* to = y + sequence * width;
                Span<float> row = new(to, (int)width);
                if (last < first)
                {
                    row.Clear();
                    continue;
                }

                new Span<float>(x + (pooling == Pooling.Last ? last : first) * width, (int)width).CopyTo(row);
                if (pooling != Pooling.Mean) continue;
                for (int token = first + 1; token <= last; token++) MapRow(default(Sum), to, x + token * width, to, width);
                MapRow(new Times(1f / (last - first + 1)), to, to, width);
            }
        }
    }

    private readonly struct PoolBackwardJob(float* dy, int* cuSeqLens, Pooling pooling, float* dx, long sequences, long width, int tasks) : IJob
    {
        public void Run(int task)
        {
            (long sequence, long end) = Range(sequences, task, tasks);
            for (; sequence < end; sequence++)
            {
                int first = cuSeqLens[sequence], last = cuSeqLens[sequence + 1] - 1;
                float* from = dy + sequence * width;
                for (int token = first; token <= last; token++)
                {
                    float* to = dx + token * width;
                    Span<float> row = new(to, (int)width);
                    if (pooling == Pooling.Mean) MapRow(new Times(1f / (last - first + 1)), from, to, width);
                    else if (token == (pooling == Pooling.Last ? last : first)) new Span<float>(from, (int)width).CopyTo(row);
                    else row.Clear();
                }
            }
        }
    }
}
