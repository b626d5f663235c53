using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace RetrievalEngine.Cuda.Products;

/// <summary>The K segments of all products of a launch: <c>segments</c> of the kernels' arguments.</summary>
[InlineArray(Capacity)]
internal struct SegmentArray
{
    public const int Capacity = 48;
    private Segment _first;

    /// <summary>Puts a · b behind the <paramref name="count"/> segments there are: one segment, or for operands in planes those whose products count.</summary>
    public void Add(ref int count, Planes a, Planes b, long k)
    {
        this[count++] = new Segment { A = a.High, B = b.High, AStride = a.Stride, BStride = b.Stride, K = checked((int)k) };
        if (b.Low != 0) this[count++] = new Segment { A = a.High, B = b.Low, AStride = a.Stride, BStride = b.Stride, K = checked((int)k) };
        if (a.Low != 0) this[count++] = new Segment { A = a.Low, B = b.High, AStride = a.Stride, BStride = b.Stride, K = checked((int)k) };
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
