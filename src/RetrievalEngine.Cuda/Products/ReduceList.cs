using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda.Products;

/// <summary>Sums over parts still to be added up: the argument of <c>lora_reduce</c>.</summary>
internal struct ReduceList
{
    public const int Capacity = 32;
    public Array Jobs;

    /// <summary>Jobs in the list.</summary>
    public int Count { get; private set; }

    /// <summary>Elements of the largest job.</summary>
    public long MostElements { get; private set; }

    /// <summary>
    /// y [rows, columns] = scale · Σ of <paramref name="count"/> parts, or added to y. The parts are [count, rows, <paramref name="stride"/>] and begin at
    /// their column <paramref name="column"/>; y is at <paramref name="y"/>, its elements <paramref name="yRowStride"/> and <paramref name="yColumnStride"/>
    /// apart. No two jobs have the same y: its <paramref name="addends"/> lie side by side in the parts, each of so many columns.
    /// </summary>
    public void Add(Tensor parts, long column, long stride, long count, long rows, long columns, ulong y, DType dtype, long yRowStride, long yColumnStride,
        float scale, bool accumulate, int addends = 1)
    {
        Jobs[Count++] = new Job
        {
            Parts = CudaMemory.Address(parts) + (ulong)column * sizeof(float),
            Y = y,
            PartStride = rows * stride,
            RowStride = stride,
            YRowStride = yRowStride,
            YColumnStride = yColumnStride,
            Count = checked((int)count),
            Rows = checked((int)rows),
            Columns = checked((int)columns),
            Addends = addends,
            YType = (int)dtype,
            Accumulate = accumulate ? 1 : 0,
            Scale = scale,
        };
        MostElements = Math.Max(MostElements, rows * columns);
    }

    /// <summary><c>Reduction</c> of kernels/lora.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Job
    {
        public ulong Parts, Y;
        public long PartStride, RowStride, YRowStride, YColumnStride;
        public int Count, Rows, Columns, Addends, YType, Accumulate;
        public float Scale;
        public int Unused;
    }

    [InlineArray(Capacity)]
    internal struct Array
    {
        private Job _first;
    }
}
