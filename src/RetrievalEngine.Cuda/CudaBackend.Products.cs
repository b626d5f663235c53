using System;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda.Products;

namespace RetrievalEngine.Cuda;

// What ops made of matrix products share: operands in the main loop's form, and the choice of a shape for a launch.
public sealed unsafe partial class CudaBackend
{
    private const int PacketElements = 8;

    /// <summary>The shape of all products that have it, in place of the fastest: for tests and measurements.</summary>
    internal ProductShape? Shape { get; set; }

    /// <summary>
    /// The rows of a matrix as an operand, taken as they lie where they can be, else packed into <see cref="Scratch"/> by the next call of Pack.
    /// </summary>
    private Planes Operand(ref PackList packs, Tensor matrix, ProductType type)
    {
        long rows = matrix.Shape[0], columns = matrix.Shape[1];
        if (matrix.DType == type.DType && columns % PacketElements == 0 && CudaMemory.Address(matrix) % PacketBytes == 0)
            return new Planes(CudaMemory.Address(matrix), 1, 0, columns, type.DType);
        Planes planes = NewOperand(rows, columns, type, type.Planes(matrix.DType));
        AddPack(ref packs, matrix, columns, 1, rows, columns, planes, 0);
        return planes;
    }

    /// <summary>The transpose of a matrix as an operand.</summary>
    private Planes TransposedOperand(ref PackList packs, Tensor matrix, ProductType type)
    {
        (long rows, long columns) = (matrix.Shape[1], matrix.Shape[0]);
        Planes planes = NewOperand(rows, columns, type, type.Planes(matrix.DType));
        AddPack(ref packs, matrix, 1, rows, rows, columns, planes, 0);
        return planes;
    }

    /// <summary>Room for an operand of <paramref name="planes"/> planes in <see cref="Scratch"/>.</summary>
    private Planes NewOperand(long rows, long columns, ProductType type, int planes)
    {
        long stride = (columns + PacketElements - 1) / PacketElements * PacketElements;
        return new Planes(CudaMemory.Address(Scratch.Allocate(new Shape(planes, rows, stride), type.DType)), planes, rows * stride, stride, type.DType);
    }

    /// <summary>
    /// Puts element (i, j) of <paramref name="matrix"/>, at i · rowStride + j · columnStride, into row <paramref name="firstRow"/> + i of
    /// <paramref name="to"/>.
    /// </summary>
    private void AddPack(ref PackList packs, Tensor matrix, long rowStride, long columnStride, long rows, long columns, Planes to, long firstRow)
    {
        if (rows == 0 || columns == 0) return;
        if (packs.Count == PackList.Capacity) Pack(ref packs);
        packs.Add(new PackList.Job
        {
            Source = CudaMemory.Address(matrix),
            Packed = to.Address + (ulong)(firstRow * to.Stride * to.DType.Size()),
            RowStride = rowStride,
            ColumnStride = columnStride,
            PackedStride = to.Stride,
            Plane = to.Plane,
            SourceType = (int)matrix.DType,
            PackedType = (int)to.DType,
            Rows = checked((int)rows),
            Columns = checked((int)columns),
            Planes = to.Count,
        });
    }

    /// <summary>Packs what was put on the list.</summary>
    private void Pack(ref PackList packs)
    {
        const int Threads = 256;
        if (packs.Count == 0) return;
        PackList.Array jobs = packs.Jobs;
        Launch("matmul", "matmul_pack", new Grid((packs.MostPackets + Threads - 1) / Threads, packs.Count), Threads, 0, [KernelArgument.Struct(ref jobs)]);
        packs.Clear();
    }

    /// <summary>
    /// Computes the products of the list, f(alpha · Σ + bias) or added to what is there, in the shape that is done first. In every shape an element is the same
    /// sum in the same order.
    /// </summary>
    private void Multiply(ref ProductList products, bool transA, bool transB, DType type, float alpha = 1, bool accumulate = false,
        Activation activation = Activation.None)
    {
        if (products.Count == 0) return;
        string form = transA ? transB ? "tt" : "tn" : transB ? "nt" : "nn";
        products.Launch.Options = products.Launch.Options with { Alpha = alpha, Accumulate = accumulate ? 1 : 0, Activation = (int)activation };
        ProductShape shape = Shape?.Has(transA, transB, Device) == true ? Shape : Fastest(in products, transA, transB, null);
        if (shape == ProductShape.Hopper)
        {
            HopperList list = default;
            products.Place(shape);
            if (list.TryFill(in products, transA, transB, type))
            {
                Launch("matmul_hopper", $"matmul_hopper_{form}_{Suffix(type)}", new Grid(Math.Min(products.Blocks(shape), Device.Multiprocessors)),
                    shape.Threads, shape.SharedBytes, [KernelArgument.Struct(ref list.Launch)]);
                return;
            }

            shape = Fastest(in products, transA, transB, ProductShape.Hopper);
        }

        products.Place(shape);
        Launch("matmul", $"matmul_{shape.Name}_{form}_{Suffix(type)}", new Grid(products.Blocks(shape)), shape.Threads, shape.SharedBytes,
            [KernelArgument.Struct(ref products.Launch)]);
    }

    private ProductShape Fastest(in ProductList products, bool transA, bool transB, ProductShape? without)
    {
        ProductShape? fastest = null;
        double least = double.PositiveInfinity;
        foreach (ProductShape shape in ProductShape.All)
        {
            double time = shape.Time(products.Blocks(shape), Device.Multiprocessors);
            if (time < least && shape != without && shape.Has(transA, transB, Device)) (fastest, least) = (shape, time);
        }

        return fastest!;
    }
}
