using System.Runtime.CompilerServices;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>The inner loop of a matrix product for machines without AVX2.</summary>
internal static unsafe class KernelScalar
{
    private const int MaxRows = 4;

    /// <summary>The microkernels.</summary>
    public static Microkernel Create()
    {
        Microkernel kernel = new(MaxRows, 16);
        kernel.Add(1, &Multiply<N1, N16>, &Multiply<N1, N8>);
        kernel.Add(2, &Multiply<N2, N16>, &Multiply<N2, N8>);
        kernel.Add(3, &Multiply<N3, N16>, &Multiply<N3, N8>);
        kernel.Add(4, &Multiply<N4, N16>, &Multiply<N4, N8>);
        return kernel;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply<TRows, TColumns>(long k, float* a, long strideA, float* b, long strideB, float* c, long strideC, float alpha,
        bool accumulate, byte* ahead, long step)
        where TRows : struct, IConstant
        where TColumns : struct, IConstant
    {
        float* sums = stackalloc float[MaxRows * 16];
        for (int i = 0; i < TRows.Value * TColumns.Value; i++) sums[i] = 0;
        for (; k > 0; k--)
        {
            for (int row = 0; row < TRows.Value; row++)
            {
                float x = a[row];
                float* sum = sums + row * TColumns.Value;
                for (int column = 0; column < TColumns.Value; column++) sum[column] += x * b[column];
            }

            a += strideA;
            b += strideB;
        }

        for (int row = 0; row < TRows.Value; row++)
        {
            for (int column = 0; column < TColumns.Value; column++)
            {
                float value = sums[row * TColumns.Value + column] * alpha;
                c[row * strideC + column] = accumulate ? c[row * strideC + column] + value : value;
            }
        }
    }
}
