using System;
using NUnit.Framework;
using RetrievalEngine.Compute;

namespace RetrievalEngine.TestKit;

/// <summary>A backend that op fixtures run on.</summary>
/// <param name="Name">As test names show it.</param>
/// <param name="Family">Backends of one family must give the same bits: the same arithmetic on more or fewer threads.</param>
/// <param name="Alignment">Bytes to which a view must be aligned; 1 for any element.</param>
/// <param name="Device">The backend, made when first asked for and shared by all tests.</param>
public sealed record TestBackend(string Name, string Family, int Alignment, Lazy<IBackend> Device)
{
    /// <summary>Relative error of sums of products beyond float32's: operands split into several of bf16, and a tensor core's way of adding.</summary>
    public double ProductError { get; init; }

    /// <summary>Relative error of an op that keeps a value between its products in the activation type: attention's probabilities, an adapter's x·Aᵀ.</summary>
    public double RoundingError { get; init; }

    /// <summary>Arithmetic that a test may ask for, in floating-point operations of the op alone.</summary>
    public double MostWork { get; init; } = double.PositiveInfinity;

    /// <summary>The tolerance of an op made of products where float32 arithmetic would have <paramref name="exact"/>.</summary>
    public double Products(double exact) => Math.Max(exact, ProductError);

    /// <summary>The tolerance of an op that rounds between its products where float32 arithmetic would have <paramref name="exact"/>.</summary>
    public double Rounded(double exact) => Math.Max(exact, RoundingError);

    /// <summary>Ignores the test where <paramref name="operations"/> are more than this backend is given: an emulated GPU is a thousand times slower.</summary>
    public void RequireWork(double operations)
    {
        if (operations > MostWork) Assert.Ignore($"more arithmetic than tests ask of {Name}");
    }

    /// <summary>Whether ops look at the values of indices and lengths before they compute.</summary>
    public bool HasHostMemory => Family == "CPU";

    /// <summary>Ignores the test of what only a backend on host memory can check: the contents of indices.</summary>
    public void RequireHostMemory()
    {
        if (!HasHostMemory) Assert.Ignore($"{Name} cannot look into tensors before it computes");
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
