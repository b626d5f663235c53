using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.PoolForward"/>
    public void PoolForward(Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor y)
    {
        (long tokens, long sequences, long width) = OpChecks.PoolForward(x, cuSeqLens, pooling, y);
        OpChecks.CuSeqLens(nameof(PoolForward), cuSeqLens.AsSpan<int>(), tokens, int.MaxValue);
        int tasks = Tasks(sequences, width * 4 * (pooling is Pooling.Last or Pooling.Cls ? 2 : tokens / Math.Max(sequences, 1) + 1));
        _workers.Run(new PoolForwardJob(Floats(nameof(PoolForward), x), Pointer<int>(cuSeqLens), pooling, Pointer<float>(y), sequences, width, tasks),
            tasks);
    }

    /// <inheritdoc cref="IBackend.PoolBackward"/>
    public void PoolBackward(Tensor dy, Tensor x, Tensor cuSeqLens, Pooling pooling, Tensor dx)
    {
        (long tokens, long sequences, long width) = OpChecks.PoolBackward(dy, x, cuSeqLens, pooling, dx);
        OpChecks.CuSeqLens(nameof(PoolBackward), cuSeqLens.AsSpan<int>(), tokens, int.MaxValue);
        int tasks = Tasks(sequences, width * 4 * (tokens / Math.Max(sequences, 1) + 1));
        _workers.Run(new PoolBackwardJob(Pointer<float>(dy), Floats(nameof(PoolBackward), x), Pointer<int>(cuSeqLens), pooling,
            Floats(nameof(PoolBackward), dx), sequences, width, tasks), tasks);
    }

    /// <summary>The factor of token <paramref name="token"/> of <paramref name="count"/> in a mean.</summary>
    private static float PoolWeight(Pooling pooling, int token, int count) =>
        pooling == Pooling.Mean ? 1f / count : (float)((token + 1) / (0.5 * count * (count + 1.0)));

    private readonly struct PoolForwardJob(float* x, int* cuSeqLens, Pooling pooling, float* y, long sequences, long width, int tasks) : IJob
    {
        public void Run(int task)
        {
            (long sequence, long end) = Range(sequences, task, tasks);
            for (; sequence < end; sequence++)
            {
                int first = cuSeqLens[sequence], count = cuSeqLens[sequence + 1] - first;
                float* to = y + sequence * width;
                Span<float> row = new(to, (int)width);
                if (count == 0)
                {
                    row.Clear();
                    continue;
                }

                float* from = x + (pooling == Pooling.Last ? first + count - 1 : first) * width;
                if (pooling == Pooling.WeightedMean) MapRow(new Times(PoolWeight(pooling, 0, count)), from, to, width);
                else new Span<float>(from, (int)width).CopyTo(row);
                for (int token = 1; token < count && pooling >= Pooling.Mean; token++)
                {
                    from += width;
                    if (pooling == Pooling.Mean) MapRow(default(Sum), to, from, to, width);
                    else if (pooling == Pooling.Max) MapRow(default(Largest), to, from, to, width);
                    else MapRow(new PlusTimes(PoolWeight(pooling, token, count)), to, from, to, width);
                }

                if (pooling == Pooling.Mean) MapRow(new Times(PoolWeight(pooling, 0, count)), to, to, width);
            }
        }
    }

    private readonly struct PoolBackwardJob(
        float* dy, float* x, int* cuSeqLens, Pooling pooling, float* dx, long sequences, long width, int tasks) : IJob
    {
        public void Run(int task)
        {
            (long sequence, long end) = Range(sequences, task, tasks);
            for (; sequence < end; sequence++)
            {
                int first = cuSeqLens[sequence], count = cuSeqLens[sequence + 1] - first;
                float* from = dy + sequence * width;
                for (int token = 0; token < count; token++)
                {
                    float* to = dx + (first + token) * width;
                    Span<float> row = new(to, (int)width);
                    if (pooling is Pooling.Mean or Pooling.WeightedMean) MapRow(new Times(PoolWeight(pooling, token, count)), from, to, width);
                    else if (pooling != Pooling.Max && token == (pooling == Pooling.Last ? count - 1 : 0)) new Span<float>(from, (int)width).CopyTo(row);
                    else row.Clear();
                }

                if (pooling == Pooling.Max && count > 0) GiveToLargest(from, first, count);
            }
        }

        private void GiveToLargest(float* from, int first, int count)
        {
            for (long i = 0; i < width; i++)
            {
                int largest = first;
                for (int token = first + 1; token < first + count; token++)
                {
                    if (x[token * width + i] > x[largest * width + i]) largest = token;
                }

                dx[largest * width + i] = from[i];
            }
        }
    }

    private readonly struct Largest : IMap2
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> a, Vector512<float> b) => Vector512.Max(a, b);
    }

    private readonly struct PlusTimes(float factor) : IMap2
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> a, Vector512<float> b) => a + b * factor;
    }
}
