using System;
using System.Numerics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.MatMul"/>
    public void MatMul(Tensor a, Tensor b, Tensor c, bool transA = false, bool transB = false, float alpha = 1, bool accumulate = false, Tensor bias = default,
        Activation activation = Activation.None)
    {
        (long m, long n, long k) = OpChecks.MatMul(a, b, c, transA, transB, bias);
        RequireF32(nameof(MatMul), a, c);
        using CpuMemory rows = new(m * k * sizeof(float)), columns = new(n * k * sizeof(float));
        float* x = (float*)rows.Pointer, w = (float*)columns.Pointer;
        float* source = Pointer<float>(a);
        for (long i = 0; i < m; i++)
        {
            for (long p = 0; p < k; p++) x[i * k + p] = source[transA ? p * m + i : i * k + p];
        }

        for (long j = 0; j < n; j++)
        {
            for (long p = 0; p < k; p++) w[j * k + p] = Widen(b, transB ? j * k + p : p * n + j);
        }

        _workers.Run(new ProductJob(x, w, Pointer<float>(c), Pointer<float>(bias), m, n, k, alpha, accumulate, activation), (int)((m + 15) / 16));
    }

    private static void RequireF32(string op, Tensor a, Tensor b)
    {
        if (a.DType != DType.F32 || b.DType != DType.F32) throw new ArgumentException($"{op}: activations on the CPU are F32, not {a} and {b}");
    }

    private static float Widen(Tensor tensor, long index) => tensor.DType switch
    {
        DType.F32 => Pointer<float>(tensor)[index],
        DType.F16 => (float)Pointer<Half>(tensor)[index],
        _ => BitConverter.UInt32BitsToSingle((uint)Pointer<ushort>(tensor)[index] << 16),
    };

    private readonly struct ProductJob(float* a, float* b, float* c, float* bias, long m, long n, long k, float alpha, bool accumulate, Activation activation) : IJob
    {
        public void Run(int task)
        {
            long end = Math.Min(m, (task + 1L) * 16);
            for (long j = 0; j < n; j++)
            {
                for (long i = task * 16L; i < end; i++)
                {
                    float value = alpha * Dot(a + i * k, b + j * k) + (bias == null ? 0 : bias[j]);
                    value = Activate(value);
                    c[i * n + j] = accumulate ? c[i * n + j] + value : value;
                }
            }
        }

        private float Dot(float* x, float* y)
        {
            Vector<float> sum = Vector<float>.Zero;
            long p = 0;
            for (; p + Vector<float>.Count <= k; p += Vector<float>.Count) sum += Vector.Load(x + p) * Vector.Load(y + p);
            float total = Vector.Sum(sum);
            for (; p < k; p++) total += x[p] * y[p];
            return total;
        }

        private float Activate(float x) => activation switch
        {
            Activation.Silu => x / (1 + MathF.Exp(-x)),
            Activation.GeluErf => (float)(0.5 * x * (1 + Erf(x / Math.Sqrt(2)))),
            Activation.GeluTanh => (float)(0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)))),
            Activation.Relu => MathF.Max(x, 0),
            _ => x,
        };

        private static double Erf(double x)
        {
            if (Math.Abs(x) > 4) return Math.Sign(x);
            double term = x, sum = x;
            for (int i = 1; i < 200; i++)
            {
                term *= -x * x / i;
                sum += term / (2 * i + 1);
            }

            return sum * 2 / Math.Sqrt(Math.PI);
        }
    }
}
