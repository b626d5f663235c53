using System;
using RetrievalEngine.Compute.Cpu.Scan;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// c [N] = f(alpha · a [K] · bᵀ + bias) for a b [N, K] that is larger than the caches: it is read once, in the order in which it lies, and memory is
/// the limit. a is prepared by <see cref="DotKernel.Prepare"/>. The sums are not in the order of <see cref="Microkernel"/>. A task is a block of
/// rows of b.
/// </summary>
internal readonly unsafe struct RowProduct(Operand b, float* preparedA, float* c, long n, long k, float alpha, bool accumulate, float* bias,
    Activation activation) : IJob
{
    private const int RowsPerTask = 64;
    private const long LeastElements = 1 << 22;

    /// <summary>Number of tasks.</summary>
    public int Tasks => checked((int)((n + RowsPerTask - 1) / RowsPerTask));

    /// <summary>Whether a product is one of these.</summary>
    public static bool Takes(long m, long n, long k, in Operand b) => m == 1 && !b.KMajor && n * k >= LeastElements;

    public void Run(int task)
    {
        long first = (long)task * RowsPerTask;
        int count = (int)Math.Min(RowsPerTask, n - first);
        float* products = stackalloc float[RowsPerTask];
        switch (b.DType)
        {
            case DType.F32:
                Multiply<FloatF32>(first, count, products);
                break;
            case DType.BF16:
                Multiply<FloatBF16>(first, count, products);
                break;
            default:
                Multiply<FloatF16>(first, count, products);
                break;
        }

        for (int i = 0; i < count; i++)
        {
            float value = alpha * products[i] + (bias == null ? 0 : bias[first + i]);
            c[first + i] = accumulate ? c[first + i] + value : value;
        }

        CpuBackend.ActivateRow(activation, c + first, c + first, count);
    }

    private void Multiply<TFormat>(long first, int count, float* products)
        where TFormat : struct, IElementFormat
    {
        long stride = b.Stride * TFormat.Size;
        DotKernel.Multiply<TFormat>(b.Data + first * stride, stride, count, preparedA, k, k, products);
    }
}
