using System;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// Few rows: the left sides are packed first; then each thread takes panels of columns, so that every right side is read once and by one thread. What
/// lies as a kernel wants it is not packed at all: k by k for the <see cref="Microkernel"/>, row by row for the <see cref="DirectKernel"/>.
/// </summary>
internal static unsafe class GemmByColumns
{
    // For so few panels of rows packing a panel of columns costs more than it saves.
    private const int DirectPanels = 4;

    // So wide a panel's bias and activation are whole vectors.
    private const int DirectTiles = 8;

    // Of a row that was widened; rows 4096 bytes apart would crowd each other out of the level 1 cache.
    private const int WideStride = GemmTiles.ChunkK + GemmTiles.Line;

    // Together they read longer pieces of the lines of a right side that lies k by k.
    private const int MaxPanelsPerTask = 8;

    /// <summary>Computes.</summary>
    public static void Run(GemmTiles tiles, Workers workers, Scratch scratch)
    {
        long left = 0, right = 0;
        for (int i = 0; i < tiles.SourceCount; i++)
        {
            GemmSource* source = tiles.Sources + i;
            source->PanelFloats = Packing.PanelFloats(source->K, tiles.Height);
            source->Offset = left;
            if (tiles.Packs(source)) left += source->PanelFloats * tiles.Panels;
        }

        for (int i = 0; i < tiles.ProductCount; i++)
        {
            if (tiles.Direct) (tiles.Products[i].Width, right) = (DirectKernel.Columns * DirectTiles, DirectKernel.Columns * WideStride);
            else right = Math.Max(right, Packing.PanelFloats(GemmTiles.ChunkK, tiles.Products[i].Width));
        }

        using Scratch.Loan loan = GemmShared.Rent(
            scratch, left, right + GemmTiles.TileFloats, workers.Count, tiles.CountChunks(), out GemmShared shared);
        tiles.WriteChunks(shared.Chunks);
        for (int i = 0; i < tiles.SourceCount; i++) tiles.Sources[i].Packed = shared.Packed + tiles.Sources[i].Offset;
        for (int stage = 0; stage < tiles.Stages; stage++) RunStage(tiles, workers, shared, stage);
    }

    private static void RunStage(GemmTiles tiles, Workers workers, GemmShared shared, int stage)
    {
        int first = 0, end = 0;
        for (int i = 0; i < tiles.SourceCount; i++)
        {
            if (tiles.Sources[i].Stage < stage) first = i + 1;
            if (tiles.Sources[i].Stage == stage && tiles.Packs(tiles.Sources + i)) end = i + 1;
        }

        if (end > first) workers.Run(new PackJob(tiles, first), (int)((end - first) * tiles.Panels));
        long panels = 0;
        for (int i = 0; i < tiles.ProductCount; i++) panels += tiles.Products[i].Stage == stage ? tiles.Products[i].Panels : 0;
        shared.Restart();
        long panelsPerTask = Math.Clamp(panels / (workers.Count * 4L), 1, MaxPanelsPerTask);
        workers.Run(new MultiplyJob(tiles, shared, stage, panelsPerTask), (int)Math.Min(panels, workers.Count));
    }

    /// <summary>A task packs a panel of rows.</summary>
    private readonly struct PackJob(GemmTiles tiles, int first) : IJob
    {
        public void Run(int task)
        {
            GemmSource* source = tiles.Sources + first + task / tiles.Panels;
            long panel = task % tiles.Panels;
            if (tiles.Packs(source)) tiles.PackLeft(source, panel, panel + 1, source->Packed + panel * source->PanelFloats);
        }
    }

    /// <summary>A thread computes panels of columns.</summary>
    private readonly struct MultiplyJob(GemmTiles tiles, GemmShared shared, int stage, long panelsPerTask) : IJob
    {
        public void Run(int lane)
        {
            long task = shared.Take(), start = 0;
            for (int i = 0; i < tiles.ProductCount; i++)
            {
                GemmProduct* product = tiles.Products + i;
                if (product->Stage != stage) continue;
                long tasks = (product->Panels + panelsPerTask - 1) / panelsPerTask;
                for (; task < start + tasks; task = shared.Take())
                {
                    long first = (task - start) * panelsPerTask;
                    long end = Math.Min(product->Panels, first + panelsPerTask);
                    if (!tiles.Direct) Multiply(product, first, end, shared.Lane(lane));
                    else for (; first < end; first++) MultiplyDirect(product, first, shared.Lane(lane));
                }

                start += tasks;
            }
        }

        private void Multiply(GemmProduct* product, long firstPanel, long endPanel, float* tile)
        {
            float* packed = tile + GemmTiles.TileFloats;
            for (GemmChunk* chunk = product->Chunks; chunk < product->EndChunk; chunk++)
            {
                GemmSource* source = tiles.Sources + chunk->Source;
                bool direct = source->Operand.Direct;
                long strideA = direct ? source->Operand.Stride : tiles.Height;
                float* left = (direct ? (float*)source->Operand.Data : source->Packed) + chunk->FirstK * strideA;

                for (long panel = firstPanel; panel < endPanel; panel++)
                {
                    float* b = packed;
                    long strideB = product->Width, column = panel * product->Width;
                    if (chunk->Right.Direct && column + product->Width <= product->N && tiles.Panels <= DirectPanels)
                    {
                        b = (float*)chunk->Right.Data + chunk->FirstK * chunk->Right.Stride + column;
                        strideB = chunk->Right.Stride;
                    }
                    else
                    {
                        GemmTiles.PackRight(product, chunk, panel, packed);
                    }

                    for (long row = 0; row < tiles.Panels; row++)
                    {
                        float* a = left + (direct ? tiles.FirstRow(row) : row * source->PanelFloats);
                        tiles.Multiply(product, chunk, row, panel, a, strideA, b, strideB, tile, (byte*)tile, 0);
                    }
                }
            }
        }

        private void MultiplyDirect(GemmProduct* product, long panel, float* tile)
        {
            long first = panel * product->Width, end = Math.Min(product->N, first + product->Width);
            for (GemmChunk* chunk = product->Chunks; chunk < product->EndChunk; chunk++)
            {
                GemmSource* source = tiles.Sources + chunk->Source;
                for (long column = first; column < end; column += DirectKernel.Columns)
                {
                    int columns = (int)Math.Min(DirectKernel.Columns, end - column);
                    // Behind a panel's last tile of one chunk comes the first one of the next.
                    byte* right = chunk->Right.At(column, chunk->FirstK), next = column + columns < end ? chunk->Right.At(column + columns, chunk->FirstK)
                        : chunk + 1 < product->EndChunk ? chunk[1].Right.At(first, chunk[1].FirstK) : product->Chunks->Right.At(end, 0);
                    Operand operand = chunk->Right;
                    if (!DirectKernel.Reads(operand.DType))
                    {
                        float* wide = tile + GemmTiles.TileFloats;
                        Packing.Widen(operand, column, columns, chunk->FirstK, chunk->K, wide, WideStride);
                        operand = new Operand((byte*)wide, DType.F32, WideStride, kMajor: false);
                        right = next = (byte*)wide;
                    }

                    float* left = source->Packed + chunk->FirstK * tiles.Height;
                    for (long row = 0; row < tiles.Panels; row++, left += source->PanelFloats)
                        tiles.MultiplyDirect(product, chunk, operand, row, column, columns, left, right, tile, next);
                }
            }

            tiles.FinishDirect(product, first, end);
        }
    }
}
