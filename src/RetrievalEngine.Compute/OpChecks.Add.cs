using System;

namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.Add"/>.</summary>
    public static void Add(Tensor a, Tensor b, Tensor destination)
    {
        RequireFloat(nameof(Add), nameof(a), a);
        RequireLike(nameof(Add), nameof(b), b, nameof(a), a);
        RequireLike(nameof(Add), nameof(destination), destination, nameof(a), a);
    }

    private static void RequireFloat(string op, string name, Tensor tensor) =>
        Require(!tensor.IsEmpty && tensor.DType.IsFloat(), op, $"{name} is {tensor} but must be of a float type");

    private static void RequireF32(string op, string name, Tensor tensor, params ReadOnlySpan<long> sizes)
    {
        Shape shape = new(sizes);
        Require(!tensor.IsEmpty && tensor.DType == DType.F32 && tensor.Shape == shape, op, $"{name} is {tensor} but must be F32 {shape}");
    }

    private static void RequireI32(string op, string name, Tensor tensor, long count) =>
        Require(
            !tensor.IsEmpty && tensor.DType == DType.I32 && tensor.Shape == new Shape(count), op,
            $"{name} is {tensor} but must be I32 [{count}]");
}
