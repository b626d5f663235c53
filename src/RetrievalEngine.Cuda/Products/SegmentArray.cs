using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace RetrievalEngine.Cuda.Products;

/// <summary>The K segments of all products of a launch: <c>segments</c> of the kernels' arguments.</summary>
[InlineArray(Capacity)]
internal struct SegmentArray
{
    public const int Capacity = 48;
    private Segment _first;

    /// <summary>
    /// Puts a · b behind the <paramref name="count"/> segments there are: one segment, or for operands in planes those of the products that float32 can tell
    /// from nothing (plane i of one with plane j of the other is 2^-8(i + j) of the first product), the smallest first, so that they are not lost to rounding.
    /// </summary>
    public void Add(ref int count, Planes a, Planes b, long k)
    {
        for (int order = Math.Min(ProductType.MostPlanes, a.Count + b.Count - 1) - 1; order >= 0; order--)
        {
            for (int i = Math.Max(0, order - b.Count + 1); i <= Math.Min(order, a.Count - 1); i++)
                this[count++] = new Segment { A = a[i], B = b[order - i], AStride = a.Stride, BStride = b.Stride, K = checked((int)k) };
        }
    }

    /// <summary><c>Segment</c> of kernels/core/mainloop.cuh.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Segment
    {
        public ulong A, B;
        public long AStride, BStride;
        public int K;
        private readonly int _unused;
    }
}
