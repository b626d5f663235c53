using RetrievalEngine.Compute;
using RetrievalEngine.Cuda.Products;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    /// <remarks>
    /// Two F32 operands are multiplied as float32 would be (<see cref="ProductType"/>). A row's bits depend neither on the other rows nor on how many there are.
    /// </remarks>
    public void MatMul(Tensor a, Tensor b, Tensor c, bool transA = false, bool transB = false, float alpha = 1, bool accumulate = false,
        Tensor bias = default, Activation activation = Activation.None)
    {
        (long m, long n, long k) = OpChecks.MatMul(a, b, c, transA, transB, bias);
        if (m == 0 || n == 0) return;
        ArenaMark mark = Scratch.Mark();
        ProductType type = new(a.DType);
        PackList packs = default;
        Planes left = Operand(ref packs, a, type), right = Operand(ref packs, b, type);
        Pack(ref packs);
        ProductList products = default;
        products.Add(c, m, n, bias);
        products.AddSegments(left, right, k);
        Multiply(ref products, transA, transB, type.DType, alpha, accumulate, activation);
        Scratch.Release(mark);
    }
}
