using System;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.Fill"/>
    public void Fill(Tensor destination, float value)
    {
        OpChecks.Fill(destination);
        int tasks = Tasks(destination.Count, sizeof(float));
        _workers.Run(new FillJob(Pointer<float>(destination), value, destination.Count, tasks), tasks);
    }

    private readonly struct FillJob(float* x, float value, long count, int tasks) : IJob
    {
        public void Run(int task)
        {
            (long start, long end) = VectorRange(count, task, tasks);
            for (; start < end; start += 1 << 30) new Span<float>(x + start, (int)Math.Min(end - start, 1 << 30)).Fill(value);
        }
    }
}
