using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    private const float SmallestNorm = 1e-12f;

    /// <inheritdoc cref="IBackend.L2NormalizeForward"/>
    public void L2NormalizeForward(Tensor x, Tensor y, Tensor norm)
    {
        (long rows, long width) = OpChecks.L2NormalizeForward(x, y, norm);
        int tasks = Tasks(rows, width * 8);
        _workers.Run(
            new NormalizeForwardJob(Floats(nameof(L2NormalizeForward), x), Floats(nameof(L2NormalizeForward), y), Pointer<float>(norm), rows, width,
                tasks), tasks);
    }

    /// <inheritdoc cref="IBackend.L2NormalizeBackward"/>
    public void L2NormalizeBackward(Tensor dy, Tensor y, Tensor norm, Tensor dx)
    {
        (long rows, long width) = OpChecks.L2NormalizeBackward(dy, y, norm, dx);
        const string Op = nameof(L2NormalizeBackward);
        int tasks = Tasks(rows, width * 12);
        _workers.Run(new NormalizeBackwardJob(Floats(Op, dy), Floats(Op, y), Pointer<float>(norm), Floats(Op, dx), rows, width, tasks), tasks);
    }

    private readonly struct NormalizeForwardJob(float* x, float* y, float* norm, long rows, long width, int tasks) : IJob
    {
        public void Run(int task)
        {
            (long row, long end) = Range(rows, task, tasks);
            for (; row < end; row++)
            {
                float* from = x + row * width;
                float length = MathF.Sqrt(VectorMath.Dot(from, from, width));
                norm[row] = length;
                MapRow(new Times(1 / MathF.Max(length, SmallestNorm)), from, y + row * width, width);
            }
        }
    }

    private readonly struct NormalizeBackwardJob(float* dy, float* y, float* norm, float* dx, long rows, long width, int tasks) : IJob
    {
        public void Run(int task)
        {
            (long row, long end) = Range(rows, task, tasks);
            for (; row < end; row++)
            {
                float* gradient = dy + row * width, at = y + row * width;
                float dot = VectorMath.Dot(gradient, at, width);
                MapRow(new Tangent(dot, 1 / MathF.Max(norm[row], SmallestNorm)), gradient, at, dx + row * width, width);
            }
        }
    }

    private readonly struct Tangent(float dot, float scale) : IMap2
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> dy, Vector512<float> y) => (dy - y * dot) * scale;
    }
}
