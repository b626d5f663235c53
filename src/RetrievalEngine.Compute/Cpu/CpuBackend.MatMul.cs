using System;
using RetrievalEngine.Compute.Cpu.Gemm;
using RetrievalEngine.Compute.Cpu.Scan;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    private const long KSlice = 4096;

    /// <inheritdoc/>
    public void MatMul(Tensor a, Tensor b, Tensor c, bool transA = false, bool transB = false, float alpha = 1, bool accumulate = false,
        Tensor bias = default, Activation activation = Activation.None)
    {
        (long m, long n, long k) = OpChecks.MatMul(a, b, c, transA, transB, bias);
        float* left = Floats(nameof(MatMul), a), to = Floats(nameof(MatMul), c);
        if (n == 0) return;
        if (accumulate && activation != Activation.None)
        {
            using Scratch.Loan loan = _scratch.Rent(m * n * sizeof(float));
            Multiply(new Operand((byte*)left, a, transA), new Operand(Pointer<byte>(b), b, !transB), (float*)loan.Pointer, m, n, k, alpha, false,
                Pointer<float>(bias), activation);
            Map(default(Sum), (float*)loan.Pointer, to, to, m * n);
            return;
        }

        Multiply(new Operand((byte*)left, a, transA), new Operand(Pointer<byte>(b), b, !transB), to, m, n, k, alpha, accumulate,
            Pointer<float>(bias), activation);
    }

    private void Multiply(Operand left, Operand right, float* c, long m, long n, long k, float alpha = 1, bool accumulate = false, float* bias = null,
        Activation activation = Activation.None)
    {
        if (RowProduct.Takes(m, n, k, right))
        {
            using Scratch.Loan loan = _scratch.Rent(DotKernel.Prepared(k) * sizeof(float));
            float unit = DotKernel.Prepare(right.DType, (float*)left.Data, k, (float*)loan.Pointer, DotKernel.Chunk(k));
            RowProduct product = new(right, (float*)loan.Pointer, c, n, k, alpha * unit, accumulate, bias, activation);
            _workers.Run(product, product.Tasks);
            return;
        }

        // A long k goes in slices, by its length alone: of both sides only as much is packed as the caches hold.
        long slices = Math.Max(1, (k + KSlice - 1) / KSlice), each = ((k + slices - 1) / slices + GemmTiles.Line - 1) / GemmTiles.Line * GemmTiles.Line;
        for (long first = 0; first + each < k; first += each)
        {
            MultiplySlice(left.From(first), right.From(first), c, m, n, each, alpha, accumulate, null, Activation.None);
            accumulate = true;
        }

        long rest = (slices - 1) * each;
        MultiplySlice(left.From(rest), right.From(rest), c, m, n, k - rest, alpha, accumulate, bias, activation);
    }

    private void MultiplySlice(Operand left, Operand right, float* c, long m, long n, long k, float alpha, bool accumulate, float* bias, Activation activation)
    {
        GemmPlan plan = new(m, stackalloc GemmSource[1], stackalloc GemmSegment[1], stackalloc GemmProduct[1]);
        int source = plan.Source(left, k);
        plan.Product(c, n, n, alpha, accumulate, bias, activation);
        plan.Segment(source, right);
        plan.Run(_workers, _scratch);
    }
}
