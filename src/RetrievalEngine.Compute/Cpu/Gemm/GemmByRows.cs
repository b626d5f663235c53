using System;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// Many rows: the right sides are packed first, by all threads; then each thread takes blocks of rows, packs its left sides, which stay in its level
/// 2 cache, and multiplies them with all panels of columns (GotoBLAS: Goto, van de Geijn 2008; BLIS: Van Zee, van de Geijn 2015). Where one block is
/// all that a thread has to do, it packs each panel of columns itself, just before it is used: that stays in its cache and waits for nobody.
/// </summary>
internal static unsafe class GemmByRows
{
    private const int RowsPerBlock = 168;

    // Right sides are packed and used in passes of this much, so that they stay in the level 3 cache where it is large.
    private const long RightFloats = 12 << 20;

    // A thread packs the right sides for itself when its rows take no more of its level 2 cache than this, and are enough to pay for it.
    private const long OwnLeftFloats = 160 << 10, OwnRows = 64;

    /// <summary>Computes.</summary>
    public static void Run(GemmTiles tiles, Workers workers, Scratch scratch)
    {
        long right = 0, largest = 0, left = 0;
        for (int i = 0; i < tiles.ProductCount; i++)
        {
            GemmProduct* product = tiles.Products + i;
            product->PanelFloats = Packing.PanelFloats(product->K, product->Width);
            product->FirstPanel = product->EndPanel = 0;
            right += product->PanelFloats * product->Panels;
            largest = Math.Max(largest, product->PanelFloats);
        }

        for (int i = 0; i < tiles.SourceCount; i++)
        {
            tiles.Sources[i].PanelFloats = Packing.PanelFloats(tiles.Sources[i].K, tiles.Height);
            tiles.Sources[i].Offset = left;
            left += tiles.Sources[i].PanelFloats;
        }

        long blocks = Math.Min(tiles.Panels, workers.Count), panelsPerBlock = (tiles.Panels + blocks - 1) / blocks;
        bool own = left * panelsPerBlock <= OwnLeftFloats && tiles.Panels / blocks * tiles.Height >= OwnRows;
        if (!own)
        {
            // As many blocks as keep all threads busy to the end.
            panelsPerBlock = RowsPerBlock / Microkernel.Best.Rows;
            blocks = (tiles.Panels + panelsPerBlock - 1) / panelsPerBlock;
            blocks = Math.Min(tiles.Panels, (blocks + workers.Count - 1) / workers.Count * workers.Count);
            panelsPerBlock = (tiles.Panels + blocks - 1) / blocks;
            right = Math.Min(right, Math.Max(RightFloats, largest));
        }

        long ownFloats = own ? Packing.PanelFloats(GemmTiles.ChunkK, Microkernel.Best.Columns) : 0;
        using Scratch.Loan loan = GemmShared.Rent(scratch, own ? 0 : right, GemmTiles.TileFloats + ownFloats + left * panelsPerBlock, workers.Count,
            tiles.CountChunks(), out GemmShared shared);
        tiles.WriteChunks(shared.Chunks);
        for (int done = 0; done < tiles.ProductCount;)
        {
            int panels = TakePanels(tiles, ref done, shared.Packed, right);
            tiles.MarkSources();
            if (!own) workers.Run(new PackJob(tiles), panels);
            shared.Restart();
            workers.Run(new MultiplyJob(tiles, shared, blocks, panelsPerBlock, ownFloats), (int)Math.Min(blocks, workers.Count));
        }
    }

    /// <summary>
    /// Chooses the panels of the next pass, as many as there is room for, from product <paramref name="done"/> on, and gives their number.
    /// </summary>
    private static int TakePanels(GemmTiles tiles, ref int done, float* packed, long room)
    {
        long used = 0;
        int count = 0;
        for (int i = 0; i < tiles.ProductCount; i++)
        {
            GemmProduct* product = tiles.Products + i;
            product->FirstPanel = product->EndPanel;
            long panels = i < done ? 0 : Math.Min(product->Panels - product->FirstPanel, (room - used) / Math.Max(1, product->PanelFloats));
            product->EndPanel = product->FirstPanel + panels;
            product->Packed = packed + used;
            used += panels * product->PanelFloats;
            count += (int)panels;
            if (i == done && product->EndPanel == product->Panels) done++;
        }

        return count;
    }

    /// <summary>A task packs a panel of columns.</summary>
    private readonly struct PackJob(GemmTiles tiles) : IJob
    {
        public void Run(int task)
        {
            GemmProduct* product = tiles.Products;
            long panel = task;
            for (; panel >= product->EndPanel - product->FirstPanel; product++) panel -= product->EndPanel - product->FirstPanel;
            float* destination = product->Packed + panel * product->PanelFloats;
            for (GemmChunk* chunk = product->Chunks; chunk < product->EndChunk; chunk++)
                GemmTiles.PackRight(product, chunk, product->FirstPanel + panel, destination + chunk->Start * product->Width);
        }
    }

    /// <summary>A thread computes blocks of rows, stage after stage, and packs panels of columns where it has room of its own for one.</summary>
    private readonly struct MultiplyJob(GemmTiles tiles, GemmShared shared, long blocks, long panelsPerBlock, long ownFloats) : IJob
    {
        public void Run(int lane)
        {
            float* tile = shared.Lane(lane), left = tile + GemmTiles.TileFloats + ownFloats;
            long each = tiles.Panels / blocks, larger = tiles.Panels % blocks;
            for (long block = shared.Take(); block < blocks; block = shared.Take())
            {
                // The larger blocks first: their number is a multiple of the threads', as those of all blocks and panels are.
                long first = block * each + Math.Min(block, larger), end = first + each + (block < larger ? 1 : 0);
                for (int stage = 0; stage < tiles.Stages; stage++)
                {
                    for (int i = 0; i < tiles.SourceCount; i++)
                    {
                        GemmSource* source = tiles.Sources + i;
                        if (source->Stage != stage || !source->Used) continue;
                        tiles.PackLeft(source, first, end, left + source->Offset * panelsPerBlock);
                    }

                    for (int i = 0; i < tiles.ProductCount; i++)
                    {
                        if (tiles.Products[i].Stage == stage) Multiply(tiles.Products + i, first, end, left, tile);
                    }
                }
            }
        }

        private void Multiply(GemmProduct* product, long firstPanel, long endPanel, float* left, float* tile)
        {
            long panels = endPanel - firstPanel;
            for (GemmChunk* chunk = product->Chunks; chunk < product->EndChunk; chunk++)
            {
                GemmSource* source = tiles.Sources + chunk->Source;
                for (long column = product->FirstPanel; column < product->EndPanel; column++)
                {
                    float* a = left + source->Offset * panelsPerBlock + chunk->FirstK * tiles.Height;
                    float* b = product->Packed + (column - product->FirstPanel) * product->PanelFloats + chunk->Start * product->Width;
                    // What is to be fetched while this panel of columns is used, so that the next one has come nearer, and how much of it with each k.
                    byte* ahead = (byte*)(b + product->PanelFloats);
                    int size = sizeof(float);
                    if (ownFloats > 0)
                    {
                        b = tile + GemmTiles.TileFloats;
                        GemmTiles.PackRight(product, chunk, column, b);
                        ahead = chunk->Right.At((column + 1) * product->Width, chunk->FirstK);
                        size = chunk->Right.KMajor ? 0 : chunk->Right.DType.Size();
                    }

                    long step = (product->Width * size + panels - 1) / panels;
                    for (long panel = firstPanel; panel < endPanel; panel++)
                    {
                        tiles.Multiply(product, chunk, panel, column, a, tiles.Height, b, product->Width, tile, ahead, step);
                        a += source->PanelFloats;
                        ahead += step * chunk->K;
                    }
                }
            }
        }
    }
}
