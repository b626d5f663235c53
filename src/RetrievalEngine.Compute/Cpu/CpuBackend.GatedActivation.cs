using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.GatedActivationForward"/>
    public void GatedActivationForward(Tensor gate, Tensor up, Activation activation, Tensor y)
    {
        OpChecks.GatedActivationForward(gate, up, activation, y);
        const string Op = nameof(GatedActivationForward);
        float* g = Floats(Op, gate), u = Floats(Op, up), to = Floats(Op, y);
        switch (activation)
        {
            case Activation.Silu:
                Map(default(Gated<Silu>), g, u, to, y.Count);
                break;
            case Activation.GeluErf:
                Map(default(Gated<GeluErf>), g, u, to, y.Count);
                break;
            case Activation.GeluTanh:
                Map(default(Gated<GeluTanh>), g, u, to, y.Count);
                break;
            case Activation.Relu:
                Map(default(Gated<Relu>), g, u, to, y.Count);
                break;
            case Activation.Tanh:
                Map(default(Gated<Tanh>), g, u, to, y.Count);
                break;
            default:
                Map(default(Gated<Identity>), g, u, to, y.Count);
                break;
        }
    }

    /// <inheritdoc cref="IBackend.GatedActivationBackward"/>
    public void GatedActivationBackward(Tensor dy, Tensor gate, Tensor up, Activation activation, Tensor dgate, Tensor dup)
    {
        OpChecks.GatedActivationBackward(dy, gate, up, activation, dgate, dup);
        switch (activation)
        {
            case Activation.Silu:
                GatedBackward<Silu>(dy, gate, up, dgate, dup);
                break;
            case Activation.GeluErf:
                GatedBackward<GeluErf>(dy, gate, up, dgate, dup);
                break;
            case Activation.GeluTanh:
                GatedBackward<GeluTanh>(dy, gate, up, dgate, dup);
                break;
            case Activation.Relu:
                GatedBackward<Relu>(dy, gate, up, dgate, dup);
                break;
            case Activation.Tanh:
                GatedBackward<Tanh>(dy, gate, up, dgate, dup);
                break;
            default:
                GatedBackward<Identity>(dy, gate, up, dgate, dup);
                break;
        }
    }

    private void GatedBackward<TActivation>(Tensor dy, Tensor gate, Tensor up, Tensor dgate, Tensor dup)
        where TActivation : IActivation
    {
        const string Op = nameof(GatedActivationBackward);
        int tasks = Tasks(dy.Count, 5 * sizeof(float));
        _workers.Run(
            new GatedBackwardJob<TActivation>(Floats(Op, dy), Floats(Op, gate), Floats(Op, up), Floats(Op, dgate), Floats(Op, dup), dy.Count, tasks),
                tasks);
    }

    private readonly struct Gated<TActivation> : IMap2
        where TActivation : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> gate, Vector512<float> up) => TActivation.Value(gate) * up;
    }

    private readonly struct GatedBackwardJob<TActivation>(float* dy, float* gate, float* up, float* dgate, float* dup, long count, int tasks) : IJob
        where TActivation : IActivation
    {
        public void Run(int task)
        {
            (long i, long end) = VectorRange(count, task, tasks);
            for (; i <= end - VectorMath.Width; i += VectorMath.Width)
            {
                (Vector512<float> dg, Vector512<float> du) = Gradients(Vector512.Load(dy + i), Vector512.Load(gate + i), Vector512.Load(up + i));
                dg.Store(dgate + i);
                du.Store(dup + i);
            }

            if (i >= end) return;
            int rest = (int)(end - i);
            (Vector512<float> lastGate, Vector512<float> lastUp) =
                Gradients(VectorMath.LoadPartial(dy + i, rest), VectorMath.LoadPartial(gate + i, rest), VectorMath.LoadPartial(up + i, rest));
            VectorMath.StorePartial(lastGate, dgate + i, rest);
            VectorMath.StorePartial(lastUp, dup + i, rest);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static (Vector512<float> Gate, Vector512<float> Up) Gradients(Vector512<float> dy, Vector512<float> gate, Vector512<float> up)
        {
            (Vector512<float> value, Vector512<float> slope) = TActivation.ValueAndSlope(gate);
            return (dy * up * slope, dy * value);
        }
    }
}
