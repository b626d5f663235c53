using System;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>Rows and several queries, tile after tile: a tile's queries stay in the level 1 cache while the rows, which are at hand, pass through it.</summary>
internal static unsafe class TileScan
{
    /// <summary>Tiles that <paramref name="rows"/> and <paramref name="queries"/> make.</summary>
    public static long Tiles<TTile>(int rows, int queries)
        where TTile : struct, ITile => (long)((rows + TTile.Rows - 1) / TTile.Rows) * ((queries + TTile.Queries - 1) / TTile.Queries);

    /// <summary>All sums of <paramref name="all"/>, a tile of any size.</summary>
    public static void Multiply<TTile>(in Tile all, ref Ahead ahead)
        where TTile : struct, ITile
    {
        Tile tile = all;
        // Of even width: 16 queries are four tiles of 4, not three of 5 and one of 1.
        int tiles = (all.Queries + TTile.Queries - 1) / TTile.Queries;
        for (int i = 0; i < tiles; i++)
        {
            int query = (int)((long)i * all.Queries / tiles);
            tile.Queries = (int)((i + 1L) * all.Queries / tiles) - query;
            tile.Query = all.Query + query * all.QueryStride;
            for (int row = 0; row < all.Rows; row += TTile.Rows)
            {
                tile.Row = all.Row + row * all.RowStride;
                tile.Rows = Math.Min(TTile.Rows, all.Rows - row);
                tile.Sums = all.Sums + (query * all.SumStride + row) * sizeof(float);
                ahead.Give(ref tile);
                TTile.Multiply(tile);
            }
        }
    }
}
