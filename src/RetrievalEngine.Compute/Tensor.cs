using System;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Compute;

/// <summary>
/// A view of device memory: where, what shape, what type. Contiguous and row-major. It owns nothing and computes nothing.
/// <c>default</c> means "no tensor" for optional arguments (<see cref="IsEmpty"/>).
/// </summary>
public readonly record struct Tensor
{
    /// <summary>Views <paramref name="memory"/> from byte <paramref name="offset"/> on.</summary>
    /// <exception cref="ArgumentException">The view does not lie inside the memory.</exception>
    public Tensor(DeviceMemory memory, long offset, Shape shape, DType dtype)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (offset < 0 || offset > memory.Length || shape.Count > (memory.Length - offset) / dtype.Size())
            throw new ArgumentException($"a tensor {shape} of {dtype} at byte {offset} does not fit into {memory.Length} bytes");
        Memory = memory;
        Offset = offset;
        Shape = shape;
        DType = dtype;
    }

    /// <summary>The block it views; null in the empty tensor.</summary>
    public DeviceMemory? Memory { get; }

    /// <summary>First byte inside <see cref="Memory"/>.</summary>
    public long Offset { get; }

    /// <summary>Sizes, outermost first.</summary>
    public Shape Shape { get; }

    /// <summary>Storage type.</summary>
    public DType DType { get; }

    /// <summary>Whether this is "no tensor".</summary>
    public bool IsEmpty => Memory is null;

    /// <summary>Number of elements.</summary>
    public long Count => IsEmpty ? 0 : Shape.Count;

    /// <summary>Number of bytes.</summary>
    public long Bytes => Count * (IsEmpty ? 0 : DType.Size());

    /// <summary>Rows <paramref name="start"/> up to <paramref name="start"/> + <paramref name="count"/> of the outermost dimension.</summary>
    public Tensor Slice(long start, long count)
    {
        long rows = Shape[0];
        if (start < 0 || count < 0 || start > rows - count) throw new ArgumentOutOfRangeException(nameof(start), $"rows {start} to {start + count} of {Shape}");
        long stride = rows == 0 ? 0 : Shape.Count / rows;
        Shape shape = Shape.Rank switch
        {
            1 => new Shape(count),
            2 => new Shape(count, Shape[1]),
            3 => new Shape(count, Shape[1], Shape[2]),
            _ => new Shape(count, Shape[1], Shape[2], Shape[3]),
        };
        return new Tensor(Memory!, Offset + start * stride * DType.Size(), shape, DType);
    }

    /// <summary>The same elements under another shape of the same count.</summary>
    public Tensor Reshape(params ReadOnlySpan<long> sizes)
    {
        Shape shape = new(sizes);
        if (shape.Count != Shape.Count) throw new ArgumentException($"{Shape} cannot be seen as {shape}");
        return new Tensor(Memory!, Offset, shape, DType);
    }

    /// <summary>Bytes of this tensor, from <paramref name="offset"/> on, as elements of another shape and type.</summary>
    /// <exception cref="ArgumentException">They do not lie inside it.</exception>
    public Tensor View(long offset, Shape shape, DType dtype)
    {
        if (offset < 0 || offset > Bytes || shape.Count > (Bytes - offset) / dtype.Size())
            throw new ArgumentException($"{dtype} {shape} from byte {offset} on does not fit into {this}");
        return new Tensor(Memory!, Offset + offset, shape, dtype);
    }

    /// <summary>The elements, for host memory only.</summary>
    /// <exception cref="InvalidOperationException">The memory is not on the host, or <typeparamref name="T"/> has not the size of <see cref="DType"/>.</exception>
    public Span<T> AsSpan<T>()
        where T : unmanaged
    {
        if (IsEmpty) return default;
        if (Memory is not CpuMemory host) throw new InvalidOperationException("the tensor is not in host memory; download it first");
        return host.Span<T>(Offset, Shape.Count, DType.Size());
    }

    /// <inheritdoc/>
    public override string ToString() => IsEmpty ? "no tensor" : $"{DType} {Shape}";
}
