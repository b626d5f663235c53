using System;
using System.Linq;
using RetrievalEngine.Compute;

namespace RetrievalEngine.TestKit;

/// <summary>Activations and their slopes as their definitions say, in double precision.</summary>
public static class NaiveActivation
{
    private static readonly double s_rootTwoOverPi = Math.Sqrt(2 / Math.PI);

    /// <summary>f(x).</summary>
    public static double Value(Activation activation, double x) => activation switch
    {
        Activation.None => x,
        Activation.Silu => x / (1 + Math.Exp(-x)),
        Activation.GeluErf => x * 0.5 * (1 + Erf(x / Math.Sqrt(2))),
        Activation.GeluTanh => 0.5 * x * (1 + Math.Tanh(s_rootTwoOverPi * (x + 0.044715 * x * x * x))),
        Activation.Relu => Math.Max(x, 0),
        Activation.Tanh => Math.Tanh(x),
        _ => throw new ArgumentOutOfRangeException(nameof(activation)),
    };

    /// <summary>f'(x).</summary>
    public static double Slope(Activation activation, double x)
    {
        switch (activation)
        {
            case Activation.Silu:
                double sigmoid = 1 / (1 + Math.Exp(-x));
                return sigmoid * (1 + x * (1 - sigmoid));
            case Activation.GeluErf:
                return 0.5 * (1 + Erf(x / Math.Sqrt(2))) + x * Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI);
            case Activation.GeluTanh:
                double tanh = Math.Tanh(s_rootTwoOverPi * (x + 0.044715 * x * x * x));
                return 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * s_rootTwoOverPi * (1 + 3 * 0.044715 * x * x);
            case Activation.Relu:
                return x > 0 ? 1 : 0;
            case Activation.Tanh:
                return 1 / (Math.Cosh(x) * Math.Cosh(x));
            default:
                return 1;
        }
    }

    /// <summary>f of every element.</summary>
    public static double[] Forward(Activation activation, double[] x) => [.. x.Select(value => Value(activation, value))];

    /// <summary>dy · f'(x).</summary>
    public static double[] Backward(Activation activation, double[] dy, double[] x) => [.. x.Select((value, i) => dy[i] * Slope(activation, value))];

    /// <summary>f(gate) · up.</summary>
    public static double[] GatedForward(Activation activation, double[] gate, double[] up) =>
        [.. gate.Select((value, i) => Value(activation, value) * up[i])];

    /// <summary>Gradients of Σ dy · f(gate) · up.</summary>
    public static (double[] Gate, double[] Up) GatedBackward(Activation activation, double[] dy, double[] gate, double[] up) =>
        ([.. gate.Select((value, i) => dy[i] * up[i] * Slope(activation, value))], [.. gate.Select((value, i) => dy[i] * Value(activation, value))]);

    /// <summary>The error function by its series without cancellation: 2/√π e^(-x²) Σ 2ⁿ x^(2n+1) / (2n+1)!!.</summary>
    public static double Erf(double x)
    {
        if (Math.Abs(x) > 6) return Math.Sign(x);
        double term = x, sum = x;
        for (int n = 1; Math.Abs(term) > 1e-18 * Math.Abs(sum); n++)
        {
            term *= 2 * x * x / (2 * n + 1);
            sum += term;
        }

        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }
}
