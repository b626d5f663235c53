using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

/// <summary>
/// How the kernels of attention are cut for one head_dim, as the instantiations at the ends of kernels/attention_forward.cu and attention_backward.cu have it.
/// A warp has 16 · M rows, a tile of columns 8 · N.
/// </summary>
/// <param name="HeadDim">The largest head_dim; smaller ones are filled with zeros.</param>
/// <param name="ForwardM">M of the forward pass.</param>
/// <param name="ForwardWarps">Warps of a block of the forward pass.</param>
/// <param name="ForwardN">N of the forward pass.</param>
/// <param name="M">M of the backward pass.</param>
/// <param name="Groups">Groups of rows in a block of the backward pass.</param>
/// <param name="KeySplit">Warps that share rows which are keys.</param>
/// <param name="QuerySplit">Warps that share rows which are queries.</param>
/// <param name="N">N of the backward pass.</param>
internal sealed record AttentionTiles(
    int HeadDim, int ForwardM, int ForwardWarps, int ForwardN, int M, int Groups, int KeySplit, int QuerySplit, int N)
{
    /// <summary>Over the rows and the columns of any block.</summary>
    public const int LargestBlock = 256;

    private const int Warp = 32;

    private static readonly AttentionTiles[] Half =
    [
        new(32, 2, 4, 8, 2, 4, 1, 1, 4), new(64, 2, 4, 8, 2, 4, 1, 1, 4), new(96, 2, 4, 8, 1, 4, 1, 1, 4), new(128, 2, 4, 6, 1, 4, 1, 1, 4),
        new(256, 1, 4, 8, 1, 4, 2, 1, 2),
    ];

    private static readonly AttentionTiles[] Single = [new(64, 1, 4, 4, 1, 4, 1, 1, 4), new(128, 1, 4, 4, 1, 2, 1, 1, 2), new(256, 1, 2, 2, 1, 1, 2, 2, 1)];

    /// <summary>Queries of a block of the forward pass.</summary>
    public int ForwardRows => 16 * ForwardM * ForwardWarps;

    /// <summary>Threads of a block of the forward pass.</summary>
    public int ForwardThreads => Warp * ForwardWarps;

    /// <summary>Rows of a warp of the backward pass.</summary>
    public int WarpRows => 16 * M;

    /// <summary>Rows of a block of the backward pass.</summary>
    public int Rows => WarpRows * Groups;

    /// <summary>Columns of a tile of the backward pass.</summary>
    public int Columns => 8 * N;

    /// <summary>The tiles for activations of <paramref name="dtype"/> and heads of <paramref name="headDim"/>.</summary>
    public static AttentionTiles Of(DType dtype, int headDim) => Array.Find(dtype == DType.F32 ? Single : Half, tiles => headDim <= tiles.HeadDim)!;

    /// <summary>Shared memory of a block of the forward pass: tiles of queries, keys and values.</summary>
    public int ForwardSharedBytes(DType dtype) =>
        TileBytes(ForwardRows + 16 * ForwardN, dtype) + (dtype == DType.F32 ? ForwardWarps * ScratchBytes(dtype, ForwardM, ForwardN) : 0);

    /// <summary>Threads of a block of the backward pass.</summary>
    public int Threads(bool rowsAreKeys) => Warp * Groups * (rowsAreKeys ? KeySplit : QuerySplit);

    /// <summary>
    /// Shared memory of a block of the backward pass: two tiles of rows, two stages of two tiles of columns, and for sums of a bias's gradient or products in
    /// float32 a place for the probabilities of each warp.
    /// </summary>
    public int SharedBytes(DType dtype, bool rowsAreKeys, bool biasGradient) =>
        TileBytes(2 * Rows + 4 * Columns, dtype) + (dtype == DType.F32 || biasGradient ? Threads(rowsAreKeys) / Warp * ScratchBytes(dtype, M, N) : 0);

    private int TileBytes(int rows, DType dtype) => rows * (HeadDim * dtype.Size() + 16);

    private static int ScratchBytes(DType dtype, int m, int n) => 16 * m * (8 * n + (dtype == DType.F32 ? 4 : 1)) * sizeof(float);
}
