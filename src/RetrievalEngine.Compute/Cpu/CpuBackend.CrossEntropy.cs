using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.CrossEntropy"/>
    public void CrossEntropy(Tensor scores, Tensor targets, Tensor excluded, float gradientScale, Tensor losses, Tensor dscores)
    {
        (long groups, long candidates) = OpChecks.CrossEntropy(scores, targets, excluded, losses, dscores);
        OpChecks.Targets(targets.AsSpan<int>(), excluded.AsSpan<sbyte>(), candidates);
        const string Op = nameof(CrossEntropy);
        int tasks = Tasks(groups, candidates * 16);
        _workers.Run(
            new CrossEntropyJob(Floats(Op, scores), Pointer<int>(targets), Pointer<sbyte>(excluded), gradientScale / groups, Pointer<float>(losses), Floats(Op, dscores), groups,
                candidates, tasks),
            tasks);
    }

    private readonly struct CrossEntropyJob(
        float* scores, int* targets, sbyte* excluded, float scale, float* losses, float* dscores, long groups, long candidates, int tasks) : IJob
    {
        public void Run(int task)
        {
            (long group, long end) = Range(groups, task, tasks);
            for (; group < end; group++)
            {
                float* from = scores + group * candidates, to = dscores + group * candidates;
                float target = from[targets[group]];
                // Excluded candidates become -∞ in the gradient's row, which is the working copy: then they weigh 0 without a branch.
                if (from != to) new Span<float>(from, (int)candidates).CopyTo(new Span<float>(to, (int)candidates));
                if (excluded != null)
                {
                    sbyte* skip = excluded + group * candidates;
                    for (long i = 0; i < candidates; i++) to[i] = skip[i] == 0 ? to[i] : float.NegativeInfinity;
                }

                float max = VectorMath.Max(to, candidates);
                MapRow(new ExpMinus(max), to, to, candidates);
                float sum = VectorMath.Sum(to, candidates);
                losses[group] = MathF.Log(sum) + (max - target);
                MapRow(new Times(scale / sum), to, to, candidates);
                to[targets[group]] -= scale;
            }
        }
    }

    private readonly struct ExpMinus(float max) : IMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> x) => VectorMath.Exp(x - Vector512.Create(max));
    }
}
