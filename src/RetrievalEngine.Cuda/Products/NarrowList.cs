using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda.Products;

/// <summary>Products of one launch of <c>lora_partial_*</c>: sums in parts of <see cref="Part"/> elements of k.</summary>
internal struct NarrowList(Dropout dropout)
{
    /// <summary>Products and k of kernels/lora.cu, its blocks' rows and columns, threads and shared memory.</summary>
    public const int Part = 1024, Rows = 64, Columns = 64, Threads = 128, SharedBytes = 3 * (Rows + Columns) * 64 * 2;
    private const int Capacity = 9;
    public Arguments Launch = new() { Dropout = new DropoutArguments(dropout) };
    private int _segments;

    /// <summary>Tiles of all products.</summary>
    public long Blocks { get; private set; }

    /// <summary>Parts of the longest sum.</summary>
    public long MostParts { get; private set; }

    /// <summary>How many parts a sum over <paramref name="k"/> has.</summary>
    public static long Parts(long k) => (k + Part - 1) / Part;

    /// <summary>Elements from row to row of the parts of n columns.</summary>
    public static long Stride(long n) => (n + 7) / 8 * 8;

    /// <summary>
    /// parts [<see cref="Parts"/>(k), m, <see cref="Stride"/>(n)] of a product whose a is, or is the transpose of, a matrix of <paramref name="width"/>
    /// columns, with the dropout of the list where <paramref name="drops"/>; followed by its segments.
    /// </summary>
    public void Add(Tensor parts, long m, long n, long k, long width, bool drops)
    {
        Launch.Products[Launch.Count++] = new Product
        {
            Parts = CudaMemory.Address(parts),
            Stride = Stride(n),
            Width = width,
            M = checked((int)m),
            N = checked((int)n),
            K = checked((int)k),
            Segment = _segments,
            FirstBlock = checked((int)Blocks),
            Drops = drops ? 1 : 0,
        };
        Blocks += (m + Rows - 1) / Rows * ((n + Columns - 1) / Columns);
        MostParts = Math.Max(MostParts, Parts(k));
    }

    /// <summary>Adds a · b to the last product.</summary>
    public void AddSegments(Planes a, Planes b, long k)
    {
        Launch.Segments.Add(ref _segments, a, b, k);
        ref Product last = ref Launch.Products[Launch.Count - 1];
        last.Segments = _segments - last.Segment;
    }

    /// <summary><c>NarrowProduct</c> of kernels/lora.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Product
    {
        public ulong Parts;
        public long Stride, Width;
        public int M, N, K, Segment, Segments, FirstBlock, Drops;
        private readonly int _unused;
    }

    [InlineArray(Capacity)]
    internal struct ProductArray
    {
        private Product _first;
    }

    /// <summary><c>NarrowArguments</c> of kernels/lora.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Arguments
    {
        public SegmentArray Segments;
        public ProductArray Products;
        public DropoutArguments Dropout;
        public int Count;
        private readonly int _unused;
    }
}
