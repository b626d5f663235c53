using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.ActivationForward"/>
    public void ActivationForward(Tensor x, Activation activation, Tensor y)
    {
        OpChecks.ActivationForward(x, activation, y);
        float* from = Floats(nameof(ActivationForward), x), to = Floats(nameof(ActivationForward), y);
        switch (activation)
        {
            case Activation.Silu:
                Map(default(Value<Silu>), from, to, x.Count);
                break;
            case Activation.GeluErf:
                Map(default(Value<GeluErf>), from, to, x.Count);
                break;
            case Activation.GeluTanh:
                Map(default(Value<GeluTanh>), from, to, x.Count);
                break;
            case Activation.Relu:
                Map(default(Value<Relu>), from, to, x.Count);
                break;
            case Activation.Tanh:
                Map(default(Value<Tanh>), from, to, x.Count);
                break;
            default:
                Map(default(Value<Identity>), from, to, x.Count);
                break;
        }
    }

    /// <inheritdoc cref="IBackend.ActivationBackward"/>
    public void ActivationBackward(Tensor dy, Tensor x, Activation activation, Tensor dx)
    {
        OpChecks.ActivationBackward(dy, x, activation, dx);
        const string Op = nameof(ActivationBackward);
        float* from = Floats(Op, dy), at = Floats(Op, x), to = Floats(Op, dx);
        switch (activation)
        {
            case Activation.Silu:
                Map(default(TimesSlope<Silu>), from, at, to, x.Count);
                break;
            case Activation.GeluErf:
                Map(default(TimesSlope<GeluErf>), from, at, to, x.Count);
                break;
            case Activation.GeluTanh:
                Map(default(TimesSlope<GeluTanh>), from, at, to, x.Count);
                break;
            case Activation.Relu:
                Map(default(TimesSlope<Relu>), from, at, to, x.Count);
                break;
            case Activation.Tanh:
                Map(default(TimesSlope<Tanh>), from, at, to, x.Count);
                break;
            default:
                Map(default(TimesSlope<Identity>), from, at, to, x.Count);
                break;
        }
    }

    /// <summary>y = f(x) on the calling thread: the end of a matrix product's row. May be in place.</summary>
    internal static void ActivateRow(Activation activation, float* x, float* y, long count)
    {
        switch (activation)
        {
            case Activation.Silu:
                MapRow(default(Value<Silu>), x, y, count);
                break;
            case Activation.GeluErf:
                MapRow(default(Value<GeluErf>), x, y, count);
                break;
            case Activation.GeluTanh:
                MapRow(default(Value<GeluTanh>), x, y, count);
                break;
            case Activation.Relu:
                MapRow(default(Value<Relu>), x, y, count);
                break;
            case Activation.Tanh:
                MapRow(default(Value<Tanh>), x, y, count);
                break;
            default:
                if (x != y) MapRow(default(Value<Identity>), x, y, count);
                break;
        }
    }

    private readonly struct Value<TActivation> : IMap
        where TActivation : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> x) => TActivation.Value(x);
    }

    private readonly struct TimesSlope<TActivation> : IMap2
        where TActivation : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> dy, Vector512<float> x) => dy * TActivation.ValueAndSlope(x).Slope;
    }
}
