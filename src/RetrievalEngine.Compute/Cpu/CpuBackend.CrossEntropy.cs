using System;
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
            new CrossEntropyJob(Floats(Op, scores), Pointer<int>(targets), Pointer<sbyte>(excluded), gradientScale / groups, Pointer<float>(losses),
                Floats(Op, dscores), groups, candidates, tasks),
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
                // The gradient's row is the working copy, in which excluded candidates are -∞: they weigh 0 from there on.
                float max = excluded == null ? VectorMath.Max(from, candidates) : Exclude(from, excluded + group * candidates, to);
                float sum = ExpMinus(max, excluded == null ? from : to, to);
                losses[group] = MathF.Log(sum) + (max - target);
                MapRow(new Times(scale / sum), to, to, candidates);
                to[targets[group]] -= scale;
            }
        }

        private float Exclude(float* from, sbyte* skip, float* to)
        {
            for (long i = 0; i < candidates; i += VectorMath.Width)
            {
                int rest = (int)Math.Min(VectorMath.Width, candidates - i);
                byte* flags = (byte*)skip + i;
                Vector512<float> flag = rest == VectorMath.Width ? FormatI8.Load(flags) : LoadPartial<FormatI8>(flags, rest);
                Vector512<float> score = VectorMath.Load(from + i, rest), none = Vector512.Create(float.NegativeInfinity);
                VectorMath.Store(Vector512.ConditionalSelect(Vector512.Equals(flag, Vector512<float>.Zero), score, none), to + i, rest);
            }

            return VectorMath.Max(to, candidates);
        }

        private float ExpMinus(float max, float* from, float* to)
        {
            Vector512<float> sum = default, shift = Vector512.Create(max);
            long i = 0;
            for (; i <= candidates - VectorMath.Width; i += VectorMath.Width)
            {
                Vector512<float> p = VectorMath.Exp(Vector512.Load(from + i) - shift);
                p.Store(to + i);
                sum += p;
            }

            if (i < candidates)
            {
                int rest = (int)(candidates - i);
                Vector512<float> p = VectorMath.Exp(VectorMath.LoadPartial(from + i, rest, float.NegativeInfinity) - shift);
                VectorMath.StorePartial(p, to + i, rest);
                sum += p;
            }

            return Vector512.Sum(sum);
        }
    }
}
