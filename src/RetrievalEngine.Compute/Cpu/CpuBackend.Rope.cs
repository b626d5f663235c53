using System;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.Rope"/>
    public void Rope(Tensor x, Tensor positions, Tensor cos, Tensor sin, bool inverse)
    {
        (long tokens, long heads, long headDim, long half) = OpChecks.Rope(x, positions, cos, sin);
        OpChecks.Indices(nameof(Rope), nameof(positions), positions.AsSpan<int>(), cos.Shape[0]);
        int tasks = Tasks(tokens, heads * half * 16);
        _workers.Run(
            new RopeJob(Floats(nameof(Rope), x), Pointer<int>(positions), Pointer<float>(cos), Pointer<float>(sin), inverse ? -1 : 1, tokens, heads,
                headDim, half, tasks), tasks);
    }

    private readonly struct RopeJob(float* x, int* positions, float* cos, float* sin, float sign, long tokens, long heads, long headDim, long half,
        int tasks) : IJob
    {
        public void Run(int task)
        {
            (long token, long end) = Range(tokens, task, tasks);
            for (; token < end; token++)
            {
                float* c = cos + positions[token] * half, s = sin + positions[token] * half;
                for (long head = 0; head < heads; head++) Rotate(x + (token * heads + head) * headDim, c, s);
            }
        }

        private void Rotate(float* low, float* c, float* s)
        {
            float* high = low + half;
            for (long i = 0; i < half; i += VectorMath.Width)
            {
                int rest = (int)Math.Min(VectorMath.Width, half - i);
                Vector512<float> a = VectorMath.Load(low + i, rest), b = VectorMath.Load(high + i, rest);
                Vector512<float> cosine = VectorMath.Load(c + i, rest), sine = VectorMath.Load(s + i, rest) * sign;
                VectorMath.Store(a * cosine - b * sine, low + i, rest);
                VectorMath.Store(b * cosine + a * sine, high + i, rest);
            }
        }
    }
}
