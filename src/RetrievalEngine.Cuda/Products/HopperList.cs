using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda.Products;

/// <summary>A <see cref="ProductList"/> as <c>matmul_hopper_*</c> takes it: with maps for the copy engine in place of addresses.</summary>
internal unsafe struct HopperList
{
    private const int MaxMaps = 24, BoxColumns = 64;
    public Arguments Launch;
    private Keys _keys;
    private int _maps;

    /// <summary>
    /// Takes over <paramref name="products"/>, placed in <see cref="ProductShape.Hopper"/>; false where they read more matrices than a launch has maps for.
    /// </summary>
    public bool TryFill(in ProductList products, bool transA, bool transB, DType type)
    {
        Launch.Products = products.Launch.Products;
        Launch.Options = products.Launch.Options;
        for (int i = 0; i < products.Count; i++)
        {
            ProductList.Product product = Launch.Products[i];
            for (int s = product.Segment; s < product.Segment + product.Segments; s++)
            {
                SegmentArray.Segment segment = products.Launch.Segments[s];
                if (segment.K == 0) continue;
                int a = transA ? Map(new Key(segment.A, segment.AStride, segment.K, product.M, BoxColumns), type)
                    : Map(new Key(segment.A, segment.AStride, product.M, segment.K, ProductShape.Hopper.M), type);
                int b = transB ? Map(new Key(segment.B, segment.BStride, product.N, segment.K, ProductShape.Hopper.N), type)
                    : Map(new Key(segment.B, segment.BStride, segment.K, product.N, BoxColumns), type);
                if (a < 0 || b < 0) return false;
                Launch.Segments[s] = new Segment { A = (ushort)a, B = (ushort)b, K = segment.K };
            }
        }

        return true;
    }

    /// <summary>The number of the map of <paramref name="key"/>, made when first asked for; -1 when there is no room.</summary>
    private int Map(Key key, DType type)
    {
        for (int i = 0; i < _maps; i++)
        {
            if (_keys[i] == key) return i;
        }

        if (_maps == MaxMaps) return -1;
        _keys[_maps] = key;
        Launch.Maps[_maps] = TensorMap.Encode(key.Address, type, key.Rows, key.Columns, key.Stride, key.BoxRows, BoxColumns);
        return _maps++;
    }

    private readonly record struct Key(ulong Address, long Stride, int Rows, int Columns, int BoxRows);

    [InlineArray(MaxMaps)]
    private struct Keys
    {
        private Key _first;
    }

    [InlineArray(MaxMaps)]
    internal struct MapArray
    {
        private TensorMap _first;
    }

    /// <summary><c>MappedSegment</c> of kernels/hopper/matmul_hopper.cu.</summary>
    internal struct Segment
    {
        public ushort A, B;
        public int K;
    }

    [InlineArray(SegmentArray.Capacity)]
    internal struct MappedSegments
    {
        private Segment _first;
    }

    /// <summary><c>HopperArguments</c> of kernels/hopper/matmul_hopper.cu, which is aligned to, and so a multiple of, 64 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Arguments
    {
        public MapArray Maps;
        public MappedSegments Segments;
        public ProductList.ProductArray Products;
        public ProductList.Options Options;
        private fixed byte _padding[40];
    }
}
