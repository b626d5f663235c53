using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda.Products;

/// <summary>Products of one launch of <c>matmul_*</c>, each with its K segments.</summary>
internal struct ProductList
{
    public const int Capacity = 9;
    public Arguments Launch;
    private int _segments;

    /// <summary>Products in the list.</summary>
    public readonly int Count => Launch.Options.Count;

    /// <summary>c [m, n], which the segments added next make up.</summary>
    public void Add(Tensor c, long m, long n, Tensor bias = default) => Launch.Products[Launch.Options.Count++] = new Product
    {
        C = CudaMemory.Address(c),
        Bias = CudaMemory.Address(bias),
        Stride = n,
        Type = (int)c.DType,
        M = checked((int)m),
        N = checked((int)n),
        Segment = _segments,
    };

    /// <summary>Adds a · b to the last product.</summary>
    public void AddSegments(Planes a, Planes b, long k)
    {
        Launch.Segments.Add(ref _segments, a, b, k);
        ref Product last = ref Launch.Products[Launch.Options.Count - 1];
        last.Segments = _segments - last.Segment;
    }

    /// <summary>Makes the segments that the last product has so far pass <paramref name="dropout"/>.</summary>
    public void Drop(Dropout dropout)
    {
        Launch.Options.Dropout = new DropoutArguments(dropout);
        Launch.Options.DroppedSegments = Launch.Products[Launch.Options.Count - 1].Segments;
    }

    /// <summary>Blocks of all products in <paramref name="shape"/>.</summary>
    public readonly long Blocks(ProductShape shape)
    {
        long blocks = 0;
        for (int i = 0; i < Count; i++) blocks += shape.Blocks(Launch.Products[i].M, Launch.Products[i].N);
        return blocks;
    }

    /// <summary>Gives each product its share of the grid.</summary>
    public void Place(ProductShape shape)
    {
        long blocks = 0;
        for (int i = 0; i < Count; i++)
        {
            Launch.Products[i].FirstBlock = checked((int)blocks);
            blocks += shape.Blocks(Launch.Products[i].M, Launch.Products[i].N);
        }

        Launch.Options.Blocks = checked((int)blocks);
    }

    /// <summary><c>Product</c> of kernels/core/product.cuh.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Product
    {
        public ulong C, Bias;
        public long Stride;
        public int Type, M, N, Segment, Segments, FirstBlock;
    }

    [InlineArray(Capacity)]
    internal struct ProductArray
    {
        private Product _first;
    }

    /// <summary><c>MatMulArguments</c> of kernels/matmul.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Arguments
    {
        public SegmentArray Segments;
        public ProductArray Products;
        public Options Options;
    }

    /// <summary><c>ProductOptions</c> of kernels/core/product.cuh.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Options
    {
        public int Count, Blocks, Activation, Accumulate;
        public float Alpha;
        public int DroppedSegments;
        public DropoutArguments Dropout;
    }
}
