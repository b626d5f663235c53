using System;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.QuantizeRows"/>
    public void QuantizeRows(Tensor x, Tensor q, Tensor scales)
    {
        (long n, long d) = OpChecks.QuantizeRows(x, q, scales);
        long rowsPerTask = Math.Max(n / (_workers.Count * 8L), Math.Max(16, n / Workers.MaxTasks + 1));
        _workers.Run(new QuantizeJob(Pointer<float>(x), Pointer<sbyte>(q), Pointer<float>(scales), n, d, rowsPerTask), (int)((n + rowsPerTask - 1) / rowsPerTask));
    }

    private readonly struct QuantizeJob(float* x, sbyte* q, float* scales, long n, long d, long rowsPerTask) : IJob
    {
        public void Run(int task)
        {
            long end = Math.Min(n, (task + 1) * rowsPerTask);
            for (long i = task * rowsPerTask; i < end; i++)
            {
                float* from = x + i * d;
                sbyte* to = q + i * d;
                float max = 0;
                for (long j = 0; j < d; j++) max = MathF.Max(max, MathF.Abs(from[j]));
                float scale = max / 127;
                scales[i] = scale;
                for (long j = 0; j < d; j++) to[j] = scale == 0 ? (sbyte)0 : (sbyte)Math.Clamp(MathF.Round(from[j] / scale), -127, 127);
            }
        }
    }
}
