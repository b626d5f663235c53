using System;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.QuantizeRows"/>
    public void QuantizeRows(Tensor x, Tensor q, Tensor scales)
    {
        (long n, long d) = OpChecks.QuantizeRows(x, q, scales);
        long rowsPerTask = Math.Max(n / (_workers.Count * 8L), Math.Max(16, n / Workers.MaxTasks + 1));
        _workers.Run(new QuantizeJob(Pointer<float>(x), Pointer<sbyte>(q), Pointer<float>(scales), n, d, rowsPerTask),
            (int)((n + rowsPerTask - 1) / rowsPerTask));
    }

    private readonly struct QuantizeJob(float* x, sbyte* q, float* scales, long n, long d, long rowsPerTask) : IJob
    {
        public void Run(int task)
        {
            long end = Math.Min(n, (task + 1) * rowsPerTask);
            for (long i = task * rowsPerTask; i < end; i++)
            {
                float* from = x + i * d;
                Vector512<float> most = default;
                long j = 0;
                for (; j <= d - VectorMath.Width; j += VectorMath.Width) most = Vector512.Max(most, Vector512.Abs(Vector512.Load(from + j)));
                float max = 0;
                for (int lane = 0; lane < VectorMath.Width; lane++) max = MathF.Max(max, most[lane]);
                for (; j < d; j++) max = MathF.Max(max, MathF.Abs(from[j]));
                scales[i] = max / 127;
                Quantize(from, q + i * d, scales[i]);
            }
        }

        private void Quantize(float* from, sbyte* to, float scale)
        {
            if (scale == 0)
            {
                new Span<sbyte>(to, checked((int)d)).Clear();
                return;
            }

            Vector512<float> divisor = Vector512.Create(scale);
            long j = 0;
            for (; j <= d - VectorMath.Width; j += VectorMath.Width)
            {
                // Above 127 only where the scale is so small that it lost digits.
                Vector512<float> value = Vector512.Round(Vector512.Load(from + j) / divisor);
                Vector512<int> rounded = Vector512.ConvertToInt32(Vector512.Clamp(value, Vector512.Create(-127f), Vector512.Create(127f)));
                Vector256<short> words = Vector256.Narrow(rounded.GetLower(), rounded.GetUpper());
                Vector128.Narrow(words.GetLower(), words.GetUpper()).Store(to + j);
            }

            for (; j < d; j++) to[j] = (sbyte)Math.Clamp(MathF.Round(from[j] / scale), -127, 127);
        }
    }
}
