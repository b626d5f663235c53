using System;
using System.Runtime.InteropServices;

namespace RetrievalEngine.Compute;

/// <summary>Ways to and from host arrays and other types, for the ends of a computation.</summary>
public static class BackendExtensions
{
    /// <summary>The elements of an F32 tensor.</summary>
    public static float[] ToArray(this IBackend backend, Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(backend);
        if (tensor.DType != DType.F32) throw new ArgumentException($"ToArray: {tensor} is not F32");
        float[] values = new float[tensor.Count];
        backend.Download(tensor, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    /// <summary><paramref name="x"/> itself where it is of <paramref name="dtype"/>, else converted in <paramref name="arena"/>.</summary>
    public static Tensor Convert(this IBackend backend, Tensor x, DType dtype, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(arena);
        if (x.DType == dtype) return x;
        Tensor converted = arena.Allocate(x.Shape, dtype);
        backend.Cast(x, converted);
        return converted;
    }

    /// <summary>Copies host values into a tensor of as many bytes.</summary>
    public static void Upload<T>(this IBackend backend, ReadOnlySpan<T> values, Tensor destination)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(backend);
        backend.Upload(MemoryMarshal.AsBytes(values), destination);
    }
}
