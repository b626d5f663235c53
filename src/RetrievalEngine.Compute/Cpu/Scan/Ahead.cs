using System;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>
/// Bytes that are fetched while rows at hand meet their queries in <paramref name="tiles"/> tiles of <paramref name="steps"/> steps, so that memory is not idle
/// meanwhile. Any address will do.
/// </summary>
internal unsafe struct Ahead(byte* next, long bytes, long tiles, long steps)
{
    private const long Line = DotKernel.Line;

    // Whole lines, as many that no step is without until all are fetched.
    private readonly long _share = (bytes + tiles * steps * Line - 1) / Math.Max(1, tiles * steps * Line) * Line;
    private readonly byte* _end = next + bytes;

    /// <summary>Tells the next tile what to fetch.</summary>
    public void Give(ref Tile tile)
    {
        tile.Next = next;
        tile.Share = next < _end ? _share : 0;
        next += _share * steps;
    }
}
