using System;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    private const long SumChunk = 1 << 14;

    /// <inheritdoc cref="IBackend.SumOfSquares"/>
    public void SumOfSquares(Tensor x, Tensor result, bool accumulate)
    {
        OpChecks.SumOfSquares(x, result);
        float* from = Floats(nameof(SumOfSquares), x), to = Pointer<float>(result);
        long count = x.Count, chunks = (count + SumChunk - 1) / SumChunk;
        using Scratch.Loan partials = _scratch.Rent(chunks * sizeof(float));
        float* sums = (float*)partials.Pointer;
        int tasks = Tasks(chunks, SumChunk * sizeof(float));
        _workers.Run(new SumOfSquaresJob(from, sums, count, chunks, tasks), tasks);
        // Chunks of a fixed size, added in order and in double: the same bits on any number of threads, and no loss over many chunks.
        double total = accumulate ? *to : 0;
        for (long chunk = 0; chunk < chunks; chunk++) total += sums[chunk];
        *to = (float)total;
    }

    private readonly struct SumOfSquaresJob(float* x, float* sums, long count, long chunks, int tasks) : IJob
    {
        public void Run(int task)
        {
            (long chunk, long end) = Range(chunks, task, tasks);
            for (; chunk < end; chunk++)
            {
                float* from = x + chunk * SumChunk;
                sums[chunk] = VectorMath.Dot(from, from, Math.Min(SumChunk, count - chunk * SumChunk));
            }
        }
    }
}
