using System;

namespace RetrievalEngine.Cuda;

/// <summary>Blocks of a launch in x, y and z.</summary>
internal readonly record struct Grid
{
    /// <summary>At most 2^31 - 1 blocks in x and 65,535 in y and z, at least one in each.</summary>
    public Grid(long x, long y = 1, long z = 1)
    {
        if (x is < 1 or > int.MaxValue || y is < 1 or > ushort.MaxValue || z is < 1 or > ushort.MaxValue)
            throw new ArgumentOutOfRangeException(nameof(x), $"a grid of {x} × {y} × {z} blocks cannot be launched");
        (X, Y, Z) = ((uint)x, (uint)y, (uint)z);
    }

    /// <summary>Blocks in x.</summary>
    public uint X { get; }

    /// <summary>Blocks in y.</summary>
    public uint Y { get; }

    /// <summary>Blocks in z.</summary>
    public uint Z { get; }
}
