namespace RetrievalEngine.TestKit;

/// <summary>Sizes at which loops go wrong: nothing, one, odd, a vector or a tile more or less one.</summary>
public static class Sizes
{
    /// <summary>Around the widths of vectors (8, 16) and of unrolled loops (32, 64).</summary>
    public static int[] Vector { get; } = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65];

    /// <summary><see cref="Vector"/> and none.</summary>
    public static int[] VectorOrNone { get; } = [0, .. Vector];

    /// <summary>Around the tiles of a matrix product.</summary>
    public static int[] Tile { get; } = [1, 5, 13, 14, 15, 31, 32, 33, 47, 48, 49, 127, 128, 129];
}
