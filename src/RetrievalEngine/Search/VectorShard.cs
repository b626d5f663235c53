using System;
using RetrievalEngine.Compute;
using TensorPrimitives = System.Numerics.Tensors.TensorPrimitives;

namespace RetrievalEngine.Search;

/// <summary>Rows that lie together.</summary>
/// <param name="Rows">[rows, dimensions] of a float type or I8; of bits I8 [rows, ⌈dimensions / 8⌉] in host memory.</param>
/// <param name="Scales">F32 [rows] for rows of I8 and of bits, else none.</param>
public readonly record struct VectorShard(Tensor Rows, Tensor Scales = default)
{
    /// <summary>
    /// F32 [rows] or none: NaN for a row that is not searched, else 0, or for distances minus half its squared length.
    /// </summary>
    public Tensor Terms { get; init; }

    /// <summary>Whether an element is a bit (<see cref="VectorStorage.Binary"/>).</summary>
    public bool IsBinary { get; init; }

    /// <summary>The first numbers of a row that lies on the host.</summary>
    internal void Read(long row, Span<float> numbers)
    {
        Tensor one = Rows.Slice(row, 1);
        float scale = Scales.IsEmpty ? 1 : Scales.Slice(row, 1).AsSpan<float>()[0];
        if (IsBinary)
        {
            Span<sbyte> signs = new sbyte[numbers.Length];
            SignBits.Widen(one.AsSpan<byte>(), numbers.Length, signs);
            TensorPrimitives.ConvertTruncating<sbyte, float>(signs, numbers);
        }
        else if (one.DType == DType.I8) TensorPrimitives.ConvertTruncating<sbyte, float>(one.AsSpan<sbyte>()[..numbers.Length], numbers);
        else if (one.DType == DType.F16) TensorPrimitives.ConvertToSingle(one.AsSpan<Half>()[..numbers.Length], numbers);
        else if (one.DType == DType.BF16)
        {
            ReadOnlySpan<ushort> bits = one.AsSpan<ushort>();
            for (int i = 0; i < numbers.Length; i++) numbers[i] = BitConverter.UInt32BitsToSingle((uint)bits[i] << 16);
        }
        else one.AsSpan<float>()[..numbers.Length].CopyTo(numbers);

        if (!Scales.IsEmpty) TensorPrimitives.Multiply(numbers, scale, numbers);
    }
}
