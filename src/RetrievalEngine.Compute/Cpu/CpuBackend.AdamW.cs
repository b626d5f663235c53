using System;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.AdamWStep"/>
    public void AdamWStep(Tensor parameter, Tensor gradient, Tensor m, Tensor v, AdamW options, Tensor sumOfSquares)
    {
        OpChecks.AdamWStep(parameter, gradient, m, v, options, sumOfSquares);
        float clip = 1;
        if (options.MaxGradNorm > 0) clip = MathF.Min(1, options.MaxGradNorm / (MathF.Sqrt(*Pointer<float>(sumOfSquares)) + 1e-6f));
        int tasks = Tasks(parameter.Count, 7 * sizeof(float));
        _workers.Run(
            new AdamWJob(Pointer<float>(parameter), Pointer<float>(gradient), Pointer<float>(m), Pointer<float>(v), options, clip,
                parameter.Count, tasks),
            tasks);
    }

    private readonly struct AdamWJob(
        float* parameter, float* gradient, float* first, float* second, AdamW options, float clip, long count, int tasks) : IJob
    {
        private readonly float _decay = (float)(1 - (double)options.LearningRate * options.WeightDecay);
        private readonly float _stepSize = (float)(options.LearningRate / (1 - Math.Pow(options.Beta1, options.Step)));
        private readonly float _rootCorrection = (float)(1 / Math.Sqrt(1 - Math.Pow(options.Beta2, options.Step)));

        public void Run(int task)
        {
            (long i, long end) = VectorRange(count, task, tasks);
            for (; i < end; i += VectorMath.Width)
            {
                int rest = (int)Math.Min(VectorMath.Width, end - i);
                Vector512<float> g = VectorMath.Load(gradient + i, rest) * clip, m = VectorMath.Load(first + i, rest),
                    v = VectorMath.Load(second + i, rest);
                m += (g - m) * (1 - options.Beta1);
                v = v * options.Beta2 + g * g * (1 - options.Beta2);
                Vector512<float> step = m * _stepSize / (Vector512.Sqrt(v) * _rootCorrection + Vector512.Create(options.Epsilon));
                VectorMath.Store(VectorMath.Load(parameter + i, rest) * _decay - step, parameter + i, rest);
                VectorMath.Store(m, first + i, rest);
                VectorMath.Store(v, second + i, rest);
            }
        }
    }
}
