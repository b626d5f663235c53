using System.Runtime.InteropServices;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda.Products;

/// <summary><c>Dropout</c> of kernels/core/dropout.cuh.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly struct DropoutArguments(Dropout dropout)
{
    private readonly ulong _seed = dropout.Seed;
    private readonly uint _threshold = dropout.Threshold;

    /// <summary>How often what is kept counts: 1 / (1 - p).</summary>
    public readonly float Scale = 1 / (1 - dropout.Probability);
}
