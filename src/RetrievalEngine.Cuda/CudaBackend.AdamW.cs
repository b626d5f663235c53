using System;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void AdamWStep(Tensor parameter, Tensor gradient, Tensor m, Tensor v, AdamW options, Tensor sumOfSquares)
    {
        OpChecks.AdamWStep(parameter, gradient, m, v, options, sumOfSquares);
        if (parameter.Count == 0) return;
        AdamWConstants constants = new(options);
        Launch("adamw", "adamw_f32", ElementGrid(parameter.Count), ElementThreads, 0,
            [parameter, gradient, m, v, KernelArgument.Struct(ref constants), sumOfSquares, parameter.Count]);
    }

    /// <summary>As kernels/adamw.cu has it.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct AdamWConstants(AdamW options)
    {
        private readonly float _decay = (float)(1 - (double)options.LearningRate * options.WeightDecay);
        private readonly float _stepSize = (float)(options.LearningRate / (1 - Math.Pow(options.Beta1, options.Step)));
        private readonly float _rootCorrection = (float)(1 / Math.Sqrt(1 - Math.Pow(options.Beta2, options.Step)));
        private readonly float _epsilon = options.Epsilon, _oneMinusBeta1 = 1 - options.Beta1, _beta2 = options.Beta2, _oneMinusBeta2 = 1 - options.Beta2,
            _maxNorm = options.MaxGradNorm;
    }
}
