using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace RetrievalEngine.Cuda.Products;

/// <summary>Operands still to be packed: the argument of <c>matmul_pack</c>.</summary>
internal struct PackList
{
    public const int Capacity = 32;
    public Array Jobs;

    /// <summary>Jobs in the list.</summary>
    public int Count { get; private set; }

    /// <summary>Packets of 8 elements of the largest job.</summary>
    public long MostPackets { get; private set; }

    public void Add(in Job job)
    {
        Jobs[Count++] = job;
        MostPackets = Math.Max(MostPackets, job.Rows * ((job.Columns + 7L) / 8));
    }

    public void Clear() => (Count, MostPackets) = (0, 0);

    /// <summary><c>PackJob</c> of kernels/matmul.cu.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Job
    {
        public ulong Source, Packed;
        public long RowStride, ColumnStride, PackedStride, Plane;
        public int SourceType, PackedType, Rows, Columns, Planes;
        private readonly int _unused;
    }

    [InlineArray(Capacity)]
    internal struct Array
    {
        private Job _first;
    }
}
